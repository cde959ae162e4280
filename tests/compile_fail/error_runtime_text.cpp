// What an error says is a literal, so that no prompt can reach a reply or a log through it.
// expect: consteval function 'tacit::Literal::Literal' is not a constant expression
#include <string>

#include "core/error.hpp"

tacit::Result<int> refuse(const std::string& input) {
#ifdef TACIT_CONTROL
  return tacit::fail(tacit::Error{tacit::Code::malformed, "not a number"}.with(
      "bytes", static_cast<long>(input.size())));
#else
  return tacit::fail(tacit::Code::malformed, input.c_str());
#endif
}
