#include "attest/rim.hpp"

namespace tacit::attest {

bool is_rim(BytesView bytes) {
  const auto head = as_text(bytes).substr(0, 512);
  return head.contains("SoftwareIdentity");
}

Result<Rim> parse_rim(BytesView) {
  return fail(Code::unsupported, "reference integrity manifests are not read yet");
}

}  // namespace tacit::attest
