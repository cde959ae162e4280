#include "attest/trust.hpp"

#include <algorithm>

#include "attest/oids.hpp"
#include "crypto/hash.hpp"

namespace tacit::attest {
namespace {

bool same(BytesView a, BytesView b) { return std::ranges::equal(a, b); }

bool interpreted(BytesView id, std::span<const BytesView> understood) {
  return same(id, oid::kBasicConstraints) || same(id, oid::kKeyUsage) ||
         std::ranges::any_of(understood, [&](BytesView one) { return same(one, id); });
}

bool check_one(const Certificate& certificate, std::size_t depth, const ChainRules& rules,
               Literal rule, Appraisal& out) {
  const auto name = certificate.common_name();
  if (rules.now < certificate.not_before || rules.now > certificate.not_after) {
    out.reject(rule, "certificates valid at " + format_time(rules.now),
               "\"" + name + "\" is valid from " + format_time(certificate.not_before) + " to " +
                   format_time(certificate.not_after));
    return false;
  }
  for (const auto& extension : certificate.extensions) {
    if (extension.critical && !interpreted(extension.oid, rules.understood)) {
      out.reject(rule, "no unknown critical extension", "one in \"" + name + "\"");
      return false;
    }
  }
  if (depth == 0) return true;
  if (!certificate.may_sign_certificates()) {
    out.reject(rule, "issuers that are certificate authorities", "\"" + name + "\" is none");
    return false;
  }
  if (certificate.path_length_max && *certificate.path_length_max < depth - 1) {
    out.reject(rule, "a chain within its path length", "too long under \"" + name + "\"");
    return false;
  }
  return true;
}

bool signed_by(const Certificate& certificate, const Certificate& issuer, SignatureMemory& memory,
               Owner owner, Literal rule, Appraisal& out) {
  if (!same(certificate.issuer, issuer.subject)) {
    out.reject(rule, "each certificate issued by the next",
               "\"" + certificate.common_name() + "\" names \"" + certificate.issuer_common_name() +
                   "\", but \"" + issuer.common_name() + "\" follows");
    return false;
  }
  if (certificate.is_built_in && issuer.is_built_in) return true;
  if (!memory.verify(*issuer.key, certificate.scheme, certificate.tbs, certificate.signature,
                     owner)) {
    out.reject(rule, "certificates with good signatures",
               "the signature of \"" + certificate.common_name() + "\" does not verify");
    return false;
  }
  return true;
}

}  // namespace

namespace {

std::array<std::byte, 8> little(std::size_t n) {
  std::array<std::byte, 8> out{};
  for (std::size_t i = 0; i < 8; ++i) out[i] = static_cast<std::byte>(n >> (8 * i));
  return out;
}

template <class Map> void make_room(Map& map, std::size_t entries_max) {
  if (map.size() >= entries_max) map.clear();
}

}  // namespace

bool SignatureMemory::verify(const crypto::VerifyingKey& key, crypto::SignatureScheme scheme,
                             BytesView message, BytesView signature, Owner owner) {
  const std::array kind{static_cast<std::byte>(scheme)};
  Id id{};
  crypto::digest(
      crypto::HashId::sha256,
      {kind, little(key.spki().size()), key.spki(), little(message.size()), message, signature},
      id);
  if (shared_.contains(id) || machines_.contains(id)) return true;
  ++num_checked_;
  if (!key.verify(scheme, message, signature)) return false;
  auto& seen = owner == Owner::machine ? machines_ : shared_;
  make_room(seen, kEntriesMax);
  seen.insert(id);
  return true;
}

Result<std::vector<CertificatePtr>> SignatureMemory::chain(std::string_view pem) {
  const auto id = crypto::sha256(as_bytes(pem));
  if (const auto known = chains_.find(id); known != chains_.end()) return known->second;
  TACIT_TRY(const auto blocks, parse_certificate_blocks(pem));
  std::vector<CertificatePtr> out;
  for (const auto& block : blocks) {
    const auto der = crypto::sha256(block.der);
    if (const auto known = issuers_.find(der); known != issuers_.end()) {
      out.push_back(known->second);
      continue;
    }
    TACIT_TRY(auto certificate, parse_certificate(block.der));
    if (!out.empty()) {  // an issuer
      make_room(issuers_, kParsedMax);
      issuers_.emplace(der, certificate);
    }
    out.push_back(std::move(certificate));
  }
  make_room(chains_, kParsedMax);
  chains_.emplace(id, out);
  return out;
}

Result<crypto::VerifyingKey> SignatureMemory::p256(BytesView xy) {
  const auto id = crypto::sha256(xy);
  if (const auto known = keys_.find(id); known != keys_.end()) return known->second;
  Bytes point{std::byte{4}};
  point.insert(point.end(), xy.begin(), xy.end());
  TACIT_TRY(auto key, crypto::VerifyingKey::parse_raw(crypto::KeyKind::ecdsa_p256, point));
  make_room(keys_, kParsedMax);
  keys_.emplace(id, key);
  return key;
}

void SignatureMemory::forget_machines() {
  machines_.clear();
  chains_.clear();
  keys_.clear();
}

bool chain_to_root(std::span<const CertificatePtr> chain, const Certificate& root,
                   const ChainRules& rules, SignatureMemory& memory, Literal rule, Appraisal& out) {
  if (chain.empty() || chain.size() > kChainLengthMax) {
    out.reject(rule, "a chain of 1 to 8 certificates", std::to_string(chain.size()));
    return false;
  }
  for (std::size_t i = 0; i < chain.size(); ++i)
    if (!check_one(*chain[i], i, rules, rule, out)) return false;
  for (std::size_t i = 0; i + 1 < chain.size(); ++i)
    if (!signed_by(*chain[i], *chain[i + 1], memory, i == 0 ? rules.leaf : Owner::shared, rule,
                   out))
      return false;
  const auto& last = *chain.back();
  if (same(last.spki, root.spki)) {
    if (chain.size() == 1) {
      out.reject(rule, "a certificate below the root", "only the root");
      return false;
    }
    return signed_by(last, root, memory, Owner::shared, rule, out);
  }
  if (same(last.subject, root.subject)) {
    out.reject(rule, "the pinned key of \"" + root.common_name() + "\"",
               "another key under the same name");
    return false;
  }
  if (!check_one(root, chain.size(), rules, rule, out)) return false;
  return signed_by(last, root, memory, chain.size() == 1 ? rules.leaf : Owner::shared, rule, out);
}

std::vector<CertificatePtr> build_chain(CertificatePtr leaf, std::span<const CertificatePtr> from,
                                        const Certificate& root, UnixTime now,
                                        SignatureMemory& memory) {
  std::vector<CertificatePtr> chain{std::move(leaf)};
  int num_left = 64;
  while (chain.size() < kChainLengthMax && !same(chain.back()->issuer, root.subject)) {
    const auto& child = *chain.back();
    CertificatePtr best;
    for (const auto& one : from) {
      if (!same(one->subject, child.issuer) || same(one->der, child.der) || num_left-- <= 0)
        continue;
      const auto owner = chain.size() == 1 ? Owner::machine : Owner::shared;
      if (!memory.verify(*one->key, child.scheme, child.tbs, child.signature, owner)) continue;
      const bool valid = now >= one->not_before && now <= one->not_after;
      if (best == nullptr || valid) best = one;
      if (valid) break;
    }
    if (best == nullptr) break;
    chain.push_back(std::move(best));
  }
  return chain;
}

RevocationAnswer revocation_of(const Certificate& certificate, const Certificate& issuer,
                               std::span<const CrlPtr> crls, UnixTime now,
                               SignatureMemory& memory) {
  RevocationAnswer answer{Revocation::unknown, "no list by \"" + issuer.common_name() + "\""};
  for (const auto& crl : crls) {
    if (!same(crl->issuer, issuer.subject)) continue;
    if (!issuer.may_sign_crls() ||
        !memory.verify(*issuer.key, crl->scheme, crl->tbs, crl->signature)) {
      if (answer.state == Revocation::unknown)
        answer.why = "a list whose signature does not verify";
      continue;
    }
    // What was revoked stays revoked, whatever the age of the list that says so.
    if (crl->revokes(certificate.serial))
      return {Revocation::revoked, "listed at " + format_time(crl->this_update)};
    if (now < crl->this_update || now > crl->next_update) {
      if (answer.state == Revocation::unknown)
        answer.why = "the list is in force from " + format_time(crl->this_update) + " to " +
                     format_time(crl->next_update);
      continue;
    }
    answer = {Revocation::good, {}};
  }
  return answer;
}

}  // namespace tacit::attest
