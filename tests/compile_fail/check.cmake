# Compiles CASE without and with TACIT_CONTROL; see CMakeLists.txt.
set(flags -std=c++23 -fsyntax-only)
foreach(folder IN LISTS INCLUDES)
  if(folder)
    list(APPEND flags "-I${folder}")
  endif()
endforeach()

file(STRINGS "${CASE}" expect_lines REGEX "^// expect: ")
list(LENGTH expect_lines count)
if(NOT count EQUAL 1)
  message(FATAL_ERROR "${CASE} needs exactly one line '// expect: REGEX', has ${count}")
endif()
string(REGEX REPLACE "^// expect: " "" expected "${expect_lines}")

execute_process(COMMAND "${COMPILER}" ${flags} -DTACIT_CONTROL "${CASE}"
  RESULT_VARIABLE control ERROR_VARIABLE output)
if(NOT control EQUAL 0)
  message(FATAL_ERROR "the control does not compile, so the case proves nothing:\n${output}")
endif()

execute_process(COMMAND "${COMPILER}" ${flags} "${CASE}" RESULT_VARIABLE result ERROR_VARIABLE output)
if(result EQUAL 0)
  message(FATAL_ERROR "this compiled, and must not: ${CASE}")
endif()
string(REGEX MATCHALL "[^\n]*error:[^\n]*" errors "${output}")
if(NOT errors MATCHES "${expected}")
  message(FATAL_ERROR "it does not compile, but for another reason than /${expected}/:\n${output}")
endif()
