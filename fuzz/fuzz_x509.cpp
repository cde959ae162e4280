// Certificates, revocation lists and PEM from strangers: no bytes break a parser, and what is
// accepted is the whole input, with views inside of it and times that print and parse again.
#include <algorithm>

#include "attest/trust.hpp"
#include "attest/x509.hpp"
#include "fuzz.hpp"

namespace {

using namespace tacit::attest;  // a program of one file
using tacit::BytesView;

bool inside(BytesView part, const tacit::Bytes& whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

void check_certificate(const Certificate& certificate, BytesView input) {
  FUZZ_CHECK(std::ranges::equal(certificate.der, input));
  for (const auto view : {certificate.tbs, certificate.serial, certificate.issuer,
                          certificate.subject, certificate.spki, certificate.signature})
    FUZZ_CHECK(inside(view, certificate.der));
  for (const auto& extension : certificate.extensions)
    FUZZ_CHECK(inside(extension.oid, certificate.der) && inside(extension.value, certificate.der));
  const auto text = format_time(certificate.not_after);
  const auto time = parse_time(text);
  FUZZ_CHECK(time && *time == certificate.not_after);
  FUZZ_CHECK(std::ranges::all_of(certificate.common_name(),
                                 [](char c) { return c >= 0x20 && c <= 0x7e; }));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView bytes{reinterpret_cast<const std::byte*>(data), size};
  if (const auto certificate = parse_certificate(bytes)) check_certificate(**certificate, bytes);
  if (const auto crl = parse_crl(bytes)) {
    for (const auto serial : (*crl)->revoked) FUZZ_CHECK((*crl)->revokes(serial));
    FUZZ_CHECK(std::ranges::equal((*crl)->der, bytes));
  }
  if (const auto blocks = parse_pem(tacit::as_text(bytes))) {
    std::size_t total = 0;
    for (const auto& block : *blocks) total += block.der.size();
    FUZZ_CHECK(total <= size);
  }
  return 0;
}
