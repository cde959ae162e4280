# Language level, warnings and sanitizers for every target of the project.
include_guard(GLOBAL)

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  message(FATAL_ERROR
    "GCC ${CMAKE_CXX_COMPILER_VERSION} destroys owning temporaries in co_await expressions twice.\n"
    "Fix: use clang-19 (./dev build does), e.g. cmake --preset dev")
endif()

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")

# Dev: fast enough to serve, assertions on, line tables for readable traces.
set(CMAKE_CXX_FLAGS_DEV "-O1 -gline-tables-only" CACHE STRING "Flags of the Dev build type" FORCE)
set(CMAKE_EXE_LINKER_FLAGS_DEV "" CACHE STRING "")
set(CMAKE_SHARED_LINKER_FLAGS_DEV "" CACHE STRING "")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG" CACHE STRING "" FORCE)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Dev CACHE STRING "" FORCE)
endif()

option(TACIT_WERROR "Treat warnings as errors" OFF)
option(TACIT_FUZZ "Build the fuzzers with libFuzzer" OFF)
set(TACIT_SANITIZE "" CACHE STRING "Sanitizers, comma separated (address,undefined or thread)")

find_program(TACIT_CCACHE ccache)
if(TACIT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${TACIT_CCACHE}" CACHE STRING "")
endif()

add_library(tacit_flags INTERFACE)
target_compile_options(tacit_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual
  -Wimplicit-fallthrough -Wunused -Wnull-dereference -Wdouble-promotion -Wcast-qual
  -fstack-protector-strong -fno-omit-frame-pointer
  "-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=")
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(tacit_flags INTERFACE -Wthread-safety -Wno-missing-field-initializers)
endif()
if(TACIT_WERROR)
  target_compile_options(tacit_flags INTERFACE -Werror)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT TACIT_SANITIZE)
  target_compile_definitions(tacit_flags INTERFACE _FORTIFY_SOURCE=2)
else()
  target_compile_definitions(tacit_flags INTERFACE _GLIBCXX_ASSERTIONS)
endif()
target_link_options(tacit_flags INTERFACE -fuse-ld=lld -Wl,-z,relro,-z,now)

if(TACIT_SANITIZE)
  add_compile_options(-fsanitize=${TACIT_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${TACIT_SANITIZE})
endif()
if(TACIT_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
