// Evidence documents, statements and key configurations from a stranger: no altered document is
// accepted, and what is parsed comes back the same when it is written.
#include <algorithm>
#include <cstdlib>

#include "seal/sealed.hpp"
#include "seal/statement.hpp"

using namespace tacit;

namespace {

Bytes make_document(const seal::EvidenceNonce& nonce) {
  const auto identity = seal::Identity::generate();
  const auto key = crypto::KemPrivateKey::generate(seal::kSealedSuite.kem);
  const auto bytes = key.public_bytes();
  const WallTime now{Seconds{1'800'000'000}};
  const seal::Statement statement{.attester = seal::Attester::none,
                                  .issued_at = now,
                                  .not_before = now,
                                  .not_after = now + Seconds{600},
                                  .identity = identity.public_key(),
                                  .sealed = {0x80,
                                             key.id(),
                                             {bytes.begin(), bytes.end()},
                                             {{seal::kSealedSuite.kdf, seal::kSealedSuite.aead}}},
                                  .ohttp = {},
                                  .software = "tacit"};
  return identity.sign(seal::encode_statement(statement), nonce, now);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView input{reinterpret_cast<const std::byte*>(data), size};
  if (const auto config = seal::parse_key_config(input)) {
    const auto again = seal::parse_key_config(seal::encode_key_config(*config));
    if (!config->suites.empty() && (!again || *again != *config)) std::abort();
  }
  if (const auto configs = seal::parse_key_configs(input)) {
    const auto again = seal::parse_key_configs(seal::encode_key_configs(*configs));
    if (!again || *again != *configs) std::abort();
  }
  if (const auto statement = seal::parse_statement(input)) {
    if (!seal::parse_statement(seal::encode_statement(*statement))) std::abort();
  }
  static const seal::EvidenceNonce nonce{};
  static const Bytes document = make_document(nonce);
  if (seal::open_evidence(input, nonce)) std::abort();  // nobody can sign with that key
  auto altered = document;
  for (std::size_t i = 0; i + 2 < size && i < 24; i += 3) {
    altered[(data[i] * 256u + data[i + 1]) % altered.size()] ^= std::byte{data[i + 2]};
  }
  if (seal::open_evidence(altered, nonce).has_value() != std::ranges::equal(altered, document))
    std::abort();
  return 0;
}
