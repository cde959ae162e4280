// What an error is about is public text; a string does not become that by itself.
// expect: no viable conversion from 'const std::string'|cannot convert|could not bind
#include <string>
#include <utility>

#include "core/error.hpp"

tacit::Error refuse(const std::string& path) {
  tacit::Error error{tacit::Code::not_found, "no such file"};
#ifdef TACIT_CONTROL
  return std::move(error).about(tacit::PublicText{path});
#else
  return std::move(error).about(path);
#endif
}
