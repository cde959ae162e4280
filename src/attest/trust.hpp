// Chains of certificates to a pinned key, revocation, and the memory of signatures that verified.
#pragma once

#include <array>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "attest/appraisal.hpp"
#include "attest/x509.hpp"

namespace tacit::attest {

// Whose a signature or certificate is: of one machine among many, or shared by them.
enum class Owner : std::uint8_t { shared, machine };

// SignatureMemory remembers which (key, scheme, message, signature) verified, by SHA-256 over all
// four, so that a certificate shared by eight devices is checked once; and parsed certificates and
// keys, by SHA-256 of their bytes. Only successes are kept, and times and revocation are never part
// of it. Bounded: what is of machines and what is shared are forgotten apart, each when it is full,
// so that many machines do not push out the collateral. Not thread-safe.
class SignatureMemory {
 public:
  // Verifies, unless the same verification succeeded before. Meant for certificates, lists and
  // signed collateral; evidence itself is new each time and need not be remembered.
  bool verify(const crypto::VerifyingKey& key, crypto::SignatureScheme scheme, BytesView message,
              BytesView signature, Owner owner = Owner::shared);
  // parse_certificate_chain, of a machine's leaf over shared issuers.
  Result<std::vector<CertificatePtr>> chain(std::string_view pem);
  // A machine's P-256 key from x || y.
  Result<crypto::VerifyingKey> p256(BytesView xy);
  void forget_machines();
  std::size_t num_checked() const noexcept { return num_checked_; }

 private:
  using Id = std::array<std::byte, 32>;
  static constexpr std::size_t kEntriesMax = 4096;
  static constexpr std::size_t kParsedMax = 256;
  std::set<Id> shared_;
  std::set<Id> machines_;
  std::map<Id, CertificatePtr> issuers_;              // by DER
  std::map<Id, std::vector<CertificatePtr>> chains_;  // by PEM
  std::map<Id, crypto::VerifyingKey> keys_;
  std::size_t num_checked_ = 0;
};

// What a chain must satisfy beyond signatures.
struct ChainRules {
  UnixTime now;
  // Object identifiers of critical extensions that the caller itself interprets.
  std::span<const BytesView> understood = {};
  Owner leaf = Owner::shared;
};

// chain_to_root checks leaf-first `chain` against the pinned public key `root_spki`: the last
// certificate either holds that key (and must be signed by it) or is directly signed by it, in
// which case `root` names its issuer. Each certificate must be signed by the next, name it as its
// issuer, be valid at `rules.now`, be a CA where it signs, keep path lengths, and have no unknown
// critical extension. Adds the reasons to `out` under `rule`; true when there are none.
bool chain_to_root(std::span<const CertificatePtr> chain, const Certificate& root,
                   const ChainRules& rules, SignatureMemory& memory, Literal rule, Appraisal& out);

// build_chain goes upwards from `leaf` over those of `from` whose key really signed what is below,
// preferring ones that are valid at `now`, until the issuer is named like `root` or nothing fits.
// The result, leaf first, is what chain_to_root then judges. Tries at most 64 signatures.
std::vector<CertificatePtr> build_chain(CertificatePtr leaf, std::span<const CertificatePtr> from,
                                        const Certificate& root, UnixTime now,
                                        SignatureMemory& memory);

enum class Revocation : std::uint8_t { good, revoked, unknown };

// revocation_of looks for the newest list by `issuer` that verifies and is in force at `now`.
// A list from the future or past its next update counts as absent: `why` says so.
struct RevocationAnswer {
  Revocation state = Revocation::unknown;
  std::string why;
};
RevocationAnswer revocation_of(const Certificate& certificate, const Certificate& issuer,
                               std::span<const CrlPtr> crls, UnixTime now, SignatureMemory& memory);

}  // namespace tacit::attest
