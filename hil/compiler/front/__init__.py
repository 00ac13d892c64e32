"""The front: a torch module becomes a graph of operators."""
