# clang out of the ziglang wheel: cmake --toolchain toolchains/zig.cmake -DHIL_COMPILER=.../zig
set(HIL_COMPILER zig CACHE FILEPATH "the zig program")
set(CMAKE_C_COMPILER ${HIL_COMPILER})
set(CMAKE_C_COMPILER_ARG1 cc)
set(CMAKE_C_COMPILER_ID Clang)
include(${CMAKE_CURRENT_LIST_DIR}/bare-metal.cmake)
read_flags(zig)
