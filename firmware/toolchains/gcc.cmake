# GNU Arm Embedded: cmake --toolchain toolchains/gcc.cmake
set(HIL_COMPILER arm-none-eabi-gcc CACHE FILEPATH "the gcc program")
set(CMAKE_C_COMPILER ${HIL_COMPILER})
set(CMAKE_C_COMPILER_ID GNU)
set(CMAKE_ASM_COMPILER ${HIL_COMPILER})
set(CMAKE_ASM_COMPILER_ID GNU)
include(${CMAKE_CURRENT_LIST_DIR}/bare-metal.cmake)
read_flags(gcc)
