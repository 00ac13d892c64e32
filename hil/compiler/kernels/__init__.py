"""The kernels of firmware/kernels: what each computes, what that takes, and the code it becomes.

A module is named as its C file. Those of whole kernels stand in `registry.KERNELS`; the others
(`matmul`, `depthwise`, `panels`, `stem`, `fastgrnn`, `gru`) are parts that kernels share.
"""
