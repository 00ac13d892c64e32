"""Questions asked of a built or running network; each study is a room of its own."""
