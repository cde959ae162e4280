# tacit_module(NAME LAYER n [DEPENDS m...] [THIRD_PARTY p...] [SOURCES f...] [HEADERS f...] [TESTS f...])
#
# One module = one folder = one namespace (tacit::NAME) = one static library = one README.
# DEPENDS names modules of strictly lower layers; anything else is an error here, and any #include
# outside DEPENDS is an error in ./dev lint, which reads layers.json (see tacit_write_layers).
# THIRD_PARTY names imported targets tacit_3p_<p>; they stay private to the module, so that no
# foreign header leaks. Asio is the one exception: it is public, through `async`.
# TESTS become one gtest program <NAME>_test, registered with ctest and labelled "unit".
include_guard(GLOBAL)
include(GoogleTest)

set_property(GLOBAL PROPERTY TACIT_MODULES "")

function(tacit_module name)
  cmake_parse_arguments(arg "" "LAYER" "DEPENDS;THIRD_PARTY;SOURCES;HEADERS;TESTS;TEST_DEPENDS" ${ARGN})
  if(NOT DEFINED arg_LAYER)
    message(FATAL_ERROR "tacit_module(${name}): LAYER is missing")
  endif()
  foreach(dep IN LISTS arg_DEPENDS)
    get_property(dep_layer GLOBAL PROPERTY TACIT_LAYER_${dep})
    if(NOT TARGET tacit_${dep} OR NOT dep_layer LESS arg_LAYER)
      message(FATAL_ERROR "tacit_module(${name}): layer ${arg_LAYER} may not depend on ${dep} "
        "(layer '${dep_layer}'). Edges go strictly downwards; see docs/architecture.md")
    endif()
  endforeach()

  add_library(tacit_${name} STATIC)
  add_library(tacit::${name} ALIAS tacit_${name})
  target_sources(tacit_${name}
    PRIVATE ${arg_SOURCES}
    PUBLIC FILE_SET HEADERS BASE_DIRS "${CMAKE_SOURCE_DIR}/src" FILES ${arg_HEADERS})
  set_target_properties(tacit_${name} PROPERTIES
    LINKER_LANGUAGE CXX VERIFY_INTERFACE_HEADER_SETS ON)
  target_link_libraries(tacit_${name} PUBLIC tacit_flags)
  foreach(dep IN LISTS arg_DEPENDS)
    target_link_libraries(tacit_${name} PUBLIC tacit_${dep})
  endforeach()
  foreach(third IN LISTS arg_THIRD_PARTY)
    if(third STREQUAL "asio" OR third STREQUAL "fmt")
      target_link_libraries(tacit_${name} PUBLIC tacit_3p_${third})
    else()
      target_link_libraries(tacit_${name} PRIVATE tacit_3p_${third})
    endif()
  endforeach()

  set_property(GLOBAL PROPERTY TACIT_LAYER_${name} ${arg_LAYER})
  set_property(GLOBAL APPEND PROPERTY TACIT_MODULES ${name})
  set_property(GLOBAL PROPERTY TACIT_DEPENDS_${name} "${arg_DEPENDS}")
  set_property(GLOBAL PROPERTY TACIT_THIRD_PARTY_${name} "${arg_THIRD_PARTY}")

  if(arg_TESTS)
    add_executable(${name}_test ${arg_TESTS})
    target_link_libraries(${name}_test PRIVATE tacit_${name} tacit_3p_gtest)
    foreach(third IN LISTS arg_THIRD_PARTY)   # a module's own tests may see what the module sees
      target_link_libraries(${name}_test PRIVATE tacit_3p_${third})
    endforeach()
    foreach(dep IN LISTS arg_TEST_DEPENDS)
      target_link_libraries(${name}_test PRIVATE ${dep})
    endforeach()
    gtest_discover_tests(${name}_test TEST_PREFIX "${name}." PROPERTIES LABELS unit TIMEOUT 120
      DISCOVERY_TIMEOUT 60)
  endif()
endfunction()

# Writes build/<preset>/layers.json: the declared edges and the headers each third party owns.
function(tacit_write_layers)
  get_property(modules GLOBAL PROPERTY TACIT_MODULES)
  set(rows "")
  foreach(name IN LISTS modules)
    get_property(layer GLOBAL PROPERTY TACIT_LAYER_${name})
    get_property(depends GLOBAL PROPERTY TACIT_DEPENDS_${name})
    get_property(third GLOBAL PROPERTY TACIT_THIRD_PARTY_${name})
    list(TRANSFORM depends REPLACE "(.+)" "\"\\1\"")
    list(TRANSFORM third REPLACE "(.+)" "\"\\1\"")
    list(JOIN depends ", " depends)
    list(JOIN third ", " third)
    list(APPEND rows
      "    {\"name\": \"${name}\", \"layer\": ${layer}, \"depends\": [${depends}], \"third_party\": [${third}]}")
  endforeach()
  list(JOIN rows ",\n" rows)
  get_property(prefixes GLOBAL PROPERTY TACIT_THIRD_PARTY_PREFIXES)
  list(JOIN prefixes ",\n" prefixes)
  file(WRITE "${CMAKE_BINARY_DIR}/layers.json"
    "{\n  \"modules\": [\n${rows}\n  ],\n  \"third_party\": {\n${prefixes}\n  }\n}\n")
endfunction()
