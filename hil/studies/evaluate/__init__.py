"""What a network is worth on annotated photographs: integers on the board, float beside them."""
