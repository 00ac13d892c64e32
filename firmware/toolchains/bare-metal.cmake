# What both compilers share. They are named here rather than probed: for want of an operating system
# CMake's test programs would not link, and probing takes longer than compiling the firmware.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_C_COMPILER_ID_RUN TRUE)
set(CMAKE_C_COMPILER_FORCED TRUE)
set(CMAKE_ASM_COMPILER_ID_RUN TRUE)
set(CMAKE_ASM_COMPILER_FORCED TRUE)

# The flags that decide the generated code stand in <name>.flags, where the fingerprint of a
# measurement reads them too.
function(read_flags name)
  file(READ ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/${name}.flags flags)
  string(REGEX REPLACE "[ \n]+" " " flags "${flags}")
  set(CMAKE_C_FLAGS_INIT "${flags}" PARENT_SCOPE)
  set(CMAKE_ASM_FLAGS_INIT "${flags}" PARENT_SCOPE)
endfunction()
