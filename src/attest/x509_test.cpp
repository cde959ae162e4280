#include "attest/x509.hpp"

#include <map>
#include <string>

#include <gtest/gtest.h>

#include "attest/roots.hpp"
#include "attest/trust.hpp"
#include "crypto/hash.hpp"

namespace tacit::attest {
namespace {

TEST(Roots, AreTheVendors) {
  // SHA-256 of the DER; where each is published: roots/README.md.
  const std::map<RootId, std::string> wanted{
      {RootId::intel_sgx, "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"},
      {RootId::intel_pck_platform_ca,
       "22eb770dca215b607b5ccfc21a672b1da5cc660b1ad0365020567979edcaa0e1"},
      {RootId::intel_pck_processor_ca,
       "13b2dccef8fc4ec977ee5249743b0f758ebd1e28d768b2e1e12bc348adaa09fb"},
      {RootId::intel_tcb_signing_2018,
       "ec37d98107bfb7dab6ff8de4d4dda6fde30a6f50b0d7b03eefb5652f1e652969"},
      {RootId::intel_tcb_signing_2025,
       "c0575e76d0303b61d09cde8cbdb70db34a74f38318300d7c0e6ba8cf4bf45aea"},
      {RootId::amd_ark_milan, "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd"},
      {RootId::amd_ark_genoa, "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1"},
      {RootId::amd_ark_turin, "1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a"},
      {RootId::nvidia_device, "102bf659d5419614c9d8e6aecebc80454eb26b1df6a769ac720b9a690b167b48"},
      {RootId::nvidia_rim, "12977b5115acb0381179279fffeb5a8c4d264971ebb32298023a465fa41df5d1"},
      {RootId::aws_nitro, "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b"},
      {RootId::azure_vtpm, "e6c596b17f8ffefba5c300f714cfb1260c6028704ecf7becc4ab5018efb00e95"},
      {RootId::google_ek_ak, "594759594b9b61524f6c8ef668f7177f7b9066bc0674f2f49fe9e052be78beb2"}};
  for (const auto& [id, digest] : wanted)
    EXPECT_EQ(crypto::sha256_hex(root_certificate(id)->der), digest);
}

// A chain that meets one of them is not checked above it: each must be signed by the one built-in
// certificate of its issuer's name.
TEST(Roots, SignThemselvesAndTheirIntermediates) {
  SignatureMemory memory;
  for (unsigned i = 0; i < kNumRoots; ++i) {
    const auto& one = root_certificate(static_cast<RootId>(i));
    EXPECT_TRUE(one->is_built_in);
    EXPECT_EQ(parse_certificate(one->der).value(), one);
    CertificatePtr issuer;
    for (unsigned j = 0; j < kNumRoots; ++j) {
      const auto& other = root_certificate(static_cast<RootId>(j));
      if (!std::ranges::equal(other->subject, one->issuer)) continue;
      EXPECT_EQ(issuer, nullptr) << "two built-in issuers of one name: " << one->common_name();
      issuer = other;
    }
    ASSERT_NE(issuer, nullptr) << one->common_name();
    EXPECT_TRUE(memory.verify(*issuer->key, one->scheme, one->tbs, one->signature))
        << one->common_name();
  }
  const auto& turin = *root_certificate(RootId::amd_ark_turin)->key;
  const auto& milan = *root_certificate(RootId::amd_ask_milan);
  EXPECT_FALSE(memory.verify(turin, milan.scheme, milan.tbs, milan.signature));
}

TEST(Certificate, NoDamagedOneVerifies) {
  const auto& root = *root_certificate(RootId::intel_sgx);
  for (std::size_t i = 0; i < root.der.size(); ++i) {
    auto bytes = root.der;
    bytes[i] ^= static_cast<std::byte>(1U << (i % 8));
    const auto damaged = parse_certificate(bytes);
    if (!damaged) continue;
    EXPECT_FALSE(root.key->verify((*damaged)->scheme, (*damaged)->tbs, (*damaged)->signature)) << i;
  }
  for (std::size_t n = 0; n < root.der.size(); ++n)
    EXPECT_FALSE(parse_certificate(BytesView{root.der}.first(n)));
}

TEST(Time, RoundTrip) {
  for (const auto* text : {"1970-01-01T00:00:00Z", "2026-03-01T23:59:59Z", "9999-12-31T23:59:59Z"})
    EXPECT_EQ(format_time(parse_time(text).value()), text);
  for (const auto* text : {"", "2026-02-30T00:00:00Z", "2026-03-01T24:00:00Z",
                           "2026-03-01T00:00:00+00:00", "2026-03-01 00:00:00Z"})
    EXPECT_FALSE(parse_time(text)) << text;
}

TEST(Pem, StrictForm) {
  EXPECT_EQ(parse_pem("").value().size(), 0U);
  EXPECT_TRUE(parse_pem("-----BEGIN X-----\nAAAA\n-----END X-----\n"));
  for (const auto* text :
       {"text", "-----BEGIN X-----\nAAAA\n", "-----BEGIN X-----\nAAAA\n-----END Y-----\n",
        "-----BEGIN X-----\nAA=A\n-----END X-----\n",
        "-----BEGIN X-----\n\nAAAA\n-----END X-----\n",
        "-----BEGIN X-----\nA AA\n-----END X-----\n"})
    EXPECT_FALSE(parse_pem(text)) << text;
}

}  // namespace
}  // namespace tacit::attest
