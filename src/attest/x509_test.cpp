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

TEST(Roots, SignThemselvesAndTheirIntermediates) {
  SignatureMemory memory;
  const auto signs = [&](RootId issuer, RootId subject) {
    const auto& key = *root_certificate(issuer)->key;
    const auto& below = *root_certificate(subject);
    return memory.verify(key, below.scheme, below.tbs, below.signature);
  };
  for (unsigned i = 0; i < kNumRoots; ++i) {
    const auto id = static_cast<RootId>(i);
    if (id >= RootId::amd_ask_milan && id <= RootId::amd_asvk_turin) continue;
    EXPECT_TRUE(signs(id, id)) << i;
  }
  EXPECT_TRUE(signs(RootId::amd_ark_milan, RootId::amd_ask_milan));
  EXPECT_TRUE(signs(RootId::amd_ark_milan, RootId::amd_asvk_milan));
  EXPECT_TRUE(signs(RootId::amd_ark_genoa, RootId::amd_ask_genoa));
  EXPECT_TRUE(signs(RootId::amd_ark_genoa, RootId::amd_asvk_genoa));
  EXPECT_TRUE(signs(RootId::amd_ark_turin, RootId::amd_ask_turin));
  EXPECT_TRUE(signs(RootId::amd_ark_turin, RootId::amd_asvk_turin));
  EXPECT_FALSE(signs(RootId::amd_ark_turin, RootId::amd_ask_milan));
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
