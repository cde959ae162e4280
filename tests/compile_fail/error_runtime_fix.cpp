// Nor is the advice how to fix it.
// expect: consteval function 'tacit::Literal::Literal' is not a constant expression
#include <string>
#include <utility>

#include "core/error.hpp"

tacit::Error refuse(const std::string& input) {
  tacit::Error error{tacit::Code::malformed, "not a number"};
#ifdef TACIT_CONTROL
  return input.empty() ? std::move(error) : std::move(error).fix("write digits only");
#else
  return std::move(error).fix(input.c_str());
#endif
}
