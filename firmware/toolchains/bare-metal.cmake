# What both compilers share: no operating system, hence no test program that would link and run.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_C_COMPILER_WORKS TRUE)
set(CMAKE_ASM_COMPILER_WORKS TRUE)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES HIL_COMPILER)

# The flags that decide the generated code stand in <name>.flags, where the fingerprint of a
# measurement reads them too.
function(read_flags name)
  file(READ ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/${name}.flags flags)
  string(REGEX REPLACE "[ \n]+" " " flags "${flags}")
  set(CMAKE_C_FLAGS_INIT "${flags}" PARENT_SCOPE)
  set(CMAKE_ASM_FLAGS_INIT "${flags}" PARENT_SCOPE)
endfunction()
