#include "attest/collateral_check.hpp"

#include <algorithm>
#include <array>

#include "attest/checks.hpp"
#include "attest/intel_statement.hpp"
#include "attest/oids.hpp"
#include "attest/roots.hpp"

namespace tacit::attest {
namespace {

// Extensions that one or another vendor marks as critical and that are about other uses.
constexpr std::array<BytesView, 3> kUnderstood{oid::kExtendedKeyUsage, oid::kSubjectAlternativeName,
                                               oid::kCertificatePolicies};

class CollateralCheck {
 public:
  CollateralCheck(const Collateral& collateral, UnixTime now, SignatureMemory& memory,
                  std::vector<Appraisal>& out)
      : collateral_{collateral}, now_{now}, memory_{memory}, out_{out} {}

  void run() {
    for (const auto& one : collateral_.certificates) certificate(one);
    for (const auto& one : collateral_.crls) crl(*one);
    for (const auto& one : collateral_.tcb_infos) statement(*one, "TCB info");
    for (const auto& one : collateral_.qe_identities) statement(*one, "identity of an enclave");
    for (const auto& one : collateral_.rims) {
      Appraisal piece{"rim", one->version};
      if (check_rim(*one, now_, memory_, piece)) good("rim", one->version + " verifies");
      keep(std::move(piece));
    }
    if (good_.claims().empty()) return;
    good_.cannot_tell("evidence", "evidence of a machine", "only what would vouch for it");
    out_.push_back(std::move(good_));
  }

 private:
  void good(const char* name, std::string value) {
    good_.claim(name, std::move(value), Source::derived);
  }
  void keep(Appraisal piece) {
    if (!piece.reasons().empty()) out_.push_back(std::move(piece));
  }

  // A pinned root (or intermediate) of that name, null when there is none.
  static const Certificate* root_named(BytesView name) {
    for (std::size_t i = 0; i < kNumRoots; ++i) {
      const auto& root = root_certificate(static_cast<RootId>(i));
      if (equal(root->subject, name)) return root.get();
    }
    return nullptr;
  }

  void certificate(const CertificatePtr& one) {
    const auto name = one->common_name();
    Appraisal piece{"certificate", name};
    const auto* self = root_named(one->subject);
    if (self != nullptr && equal(self->spki, one->spki)) {
      good("trust_anchor", name + " is built in");
      return;
    }
    if (self != nullptr && equal(one->issuer, one->subject)) {
      piece.reject("certificate", "the built-in key of \"" + name + "\"",
                   "another key under the same name");
      return keep(std::move(piece));
    }
    const auto* root = root_named(one->issuer);
    std::vector<CertificatePtr> chain{one};
    if (root == nullptr) chain = longest_chain(one, root);
    if (root == nullptr) {
      piece.cannot_tell("certificate", "a certificate that leads to a built-in root",
                        "none of the issuer \"" + chain.back()->issuer_common_name() + "\"");
      return keep(std::move(piece));
    }
    if (chain_to_root(chain, *root, {now_, kUnderstood}, memory_, "certificate", piece))
      good("certificate", "\"" + name + "\" leads to \"" + root->common_name() + "\"");
    keep(std::move(piece));
  }

  // Upwards over the other certificates given, towards whichever built-in root is reached.
  std::vector<CertificatePtr> longest_chain(const CertificatePtr& leaf, const Certificate*& root) {
    for (std::size_t i = 0; i < kNumRoots; ++i) {
      const auto& anchor = root_certificate(static_cast<RootId>(i));
      auto chain = build_chain(leaf, collateral_.certificates, *anchor, now_, memory_);
      if (!equal(chain.back()->issuer, anchor->subject)) continue;
      root = anchor.get();
      return chain;
    }
    return {leaf};
  }

  void crl(const Crl& one) {
    const auto name = one.issuer_common_name();
    Appraisal piece{"revocation-list", name};
    const auto* issuer = root_named(one.issuer);
    if (issuer == nullptr) {
      const auto at = std::ranges::find_if(collateral_.certificates, [&](const CertificatePtr& c) {
        return equal(c->subject, one.issuer);
      });
      if (at != collateral_.certificates.end()) issuer = at->get();
    }
    if (issuer == nullptr)
      piece.cannot_tell("revocation", "the certificate of \"" + name + "\"", "none was given");
    else if (!issuer->may_sign_crls() ||
             !memory_.verify(*issuer->key, one.scheme, one.tbs, one.signature))
      piece.reject("revocation", "a list signed by \"" + name + "\"",
                   "its signature does not verify");
    else if (now_ < one.this_update || now_ > one.next_update)
      piece.reject(
          "revocation", "a list in force at " + format_time(now_),
          "in force from " + format_time(one.this_update) + " to " + format_time(one.next_update));
    else
      good("revocation_list", "of \"" + name + "\" verifies, and names " +
                                  std::to_string(one.revoked.size()) + " certificates");
    keep(std::move(piece));
  }

  void statement(const IntelStatement& one, const char* what) {
    Appraisal piece{"intel-collateral", one.id};
    if (check_intel_statement(one, {collateral_, now_, memory_}, piece))
      good("statement", std::string{what} + " " + one.id + " verifies, evaluation data number " +
                            std::to_string(one.evaluation_number));
    keep(std::move(piece));
  }

  const Collateral& collateral_;
  UnixTime now_;
  SignatureMemory& memory_;
  std::vector<Appraisal>& out_;
  Appraisal good_{"collateral", "all files"};
};

}  // namespace

void check_collateral(const Collateral& collateral, UnixTime now, SignatureMemory& memory,
                      std::vector<Appraisal>& out) {
  CollateralCheck{collateral, now, memory, out}.run();
}

}  // namespace tacit::attest
