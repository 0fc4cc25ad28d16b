"""The REST interface under /api/v1: routers that read input, call one service and show its answer."""
