# Third-party packages. Each becomes one target tacit_3p_<name>, and declares which #include
# prefixes belong to it, so that ./dev lint can keep them inside the modules that own them.
# Why each is here, and its licence: docs/dependencies.md.
include_guard(GLOBAL)

set(TACIT_OPENSSL_ROOT "" CACHE PATH "OpenSSL >= 3.5 prefix; empty: the system's")
set(TACIT_LLAMA_ROOT "" CACHE PATH "llama.cpp prefix prepared by ./dev deps")

# tacit_third_party(name PREFIXES p...)  declares the target and its include prefixes.
function(tacit_third_party name)
  cmake_parse_arguments(arg "" "" "PREFIXES" ${ARGN})
  add_library(tacit_3p_${name} INTERFACE)
  list(TRANSFORM arg_PREFIXES REPLACE "(.+)" "\"\\1\"")
  list(JOIN arg_PREFIXES ", " prefixes)
  set_property(GLOBAL APPEND PROPERTY TACIT_THIRD_PARTY_PREFIXES "    \"${name}\": [${prefixes}]")
endfunction()

find_package(Threads REQUIRED)

# Boost: Asio is public, JSON and URL private to their users, Beast only in http.
find_package(Boost 1.81 REQUIRED COMPONENTS json url)
tacit_third_party(asio PREFIXES boost/asio boost/system)
target_link_libraries(tacit_3p_asio INTERFACE Boost::headers Threads::Threads)
target_compile_definitions(tacit_3p_asio INTERFACE
  BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_DISABLE_BOOST_ARRAY=0)
tacit_third_party(beast PREFIXES boost/beast)
target_link_libraries(tacit_3p_beast INTERFACE Boost::headers)
tacit_third_party(json PREFIXES boost/json)
target_link_libraries(tacit_3p_json INTERFACE Boost::json)
tacit_third_party(url PREFIXES boost/url)
target_link_libraries(tacit_3p_url INTERFACE Boost::url)

find_package(fmt REQUIRED)
tacit_third_party(fmt PREFIXES fmt/)
target_link_libraries(tacit_3p_fmt INTERFACE fmt::fmt)

if(TACIT_OPENSSL_ROOT)
  set(OPENSSL_ROOT_DIR "${TACIT_OPENSSL_ROOT}")
  set(OPENSSL_USE_STATIC_LIBS OFF)
endif()
find_package(OpenSSL 3.5 REQUIRED)
if(OPENSSL_VERSION VERSION_GREATER_EQUAL 4)
  message(FATAL_ERROR "OpenSSL ${OPENSSL_VERSION} is newer than supported (>= 3.5, < 4).\n"
    "Fix: pass -DTACIT_OPENSSL_ROOT=PREFIX, or run ./dev deps")
endif()
tacit_third_party(openssl PREFIXES openssl/)
target_link_libraries(tacit_3p_openssl INTERFACE OpenSSL::SSL OpenSSL::Crypto)

tacit_third_party(sqlite PREFIXES sqlite3)
find_package(SQLite3 REQUIRED)
target_link_libraries(tacit_3p_sqlite INTERFACE SQLite::SQLite3)

tacit_third_party(zlib PREFIXES zlib.h)
find_package(ZLIB REQUIRED)
target_link_libraries(tacit_3p_zlib INTERFACE ZLIB::ZLIB)

tacit_third_party(seccomp PREFIXES seccomp.h)
find_path(SECCOMP_INCLUDE_DIR seccomp.h REQUIRED)
find_library(SECCOMP_LIBRARY seccomp REQUIRED)
target_include_directories(tacit_3p_seccomp INTERFACE "${SECCOMP_INCLUDE_DIR}")
target_link_libraries(tacit_3p_seccomp INTERFACE "${SECCOMP_LIBRARY}")

# toml++ is used header-only, without exceptions, so that only its headers matter.
tacit_third_party(toml PREFIXES toml++/)
find_path(TOMLPLUSPLUS_INCLUDE_DIR toml++/toml.h REQUIRED)
target_include_directories(tacit_3p_toml SYSTEM INTERFACE "${TOMLPLUSPLUS_INCLUDE_DIR}")

# tpm2-tss is loaded at run time, when there is a TPM to talk to: only its headers matter here.
tacit_third_party(tss PREFIXES tss2/)
find_path(TSS2_INCLUDE_DIR tss2/tss2_esys.h REQUIRED)
target_include_directories(tacit_3p_tss SYSTEM INTERFACE "${TSS2_INCLUDE_DIR}")
target_link_libraries(tacit_3p_tss INTERFACE ${CMAKE_DL_LIBS})

tacit_third_party(cli11 PREFIXES CLI/)
find_package(CLI11 REQUIRED)
target_link_libraries(tacit_3p_cli11 INTERFACE CLI11::CLI11)

tacit_third_party(gtest PREFIXES gtest/ gmock/)
find_package(GTest REQUIRED)
target_link_libraries(tacit_3p_gtest INTERFACE GTest::gmock GTest::gtest_main)

tacit_third_party(benchmark PREFIXES benchmark/)
find_package(benchmark REQUIRED)
target_link_libraries(tacit_3p_benchmark INTERFACE benchmark::benchmark)

# llama.cpp, prepared by ./dev deps as static libraries and headers under one prefix.
if(NOT EXISTS "${TACIT_LLAMA_ROOT}/include/llama.cpp/include/llama.h"
   AND NOT EXISTS "${TACIT_LLAMA_ROOT}/include/llama.cpp/llama.h")
  message(FATAL_ERROR "llama.cpp was not found under TACIT_LLAMA_ROOT='${TACIT_LLAMA_ROOT}'.\n"
    "Fix: run ./dev deps (and ./dev configure dev), or point TACIT_LLAMA_ROOT at a prepared prefix")
endif()
tacit_third_party(llama PREFIXES llama ggml gguf.h chat.h common.h sampling.h log.h)
include("${TACIT_LLAMA_ROOT}/tacit-llama.cmake" OPTIONAL RESULT_VARIABLE TACIT_LLAMA_CONFIG)
if(NOT TACIT_LLAMA_CONFIG)
  message(FATAL_ERROR "${TACIT_LLAMA_ROOT}/tacit-llama.cmake is missing; run ./dev deps again")
endif()
# tacit-llama.cmake defines: TACIT_LLAMA_INCLUDE_DIRS, TACIT_LLAMA_LIBRARIES, TACIT_LLAMA_VERSION.
target_include_directories(tacit_3p_llama SYSTEM INTERFACE ${TACIT_LLAMA_INCLUDE_DIRS})
target_link_libraries(tacit_3p_llama INTERFACE ${TACIT_LLAMA_LIBRARIES} Threads::Threads dl m)
target_compile_definitions(tacit_3p_llama INTERFACE TACIT_LLAMA_VERSION="${TACIT_LLAMA_VERSION}")
