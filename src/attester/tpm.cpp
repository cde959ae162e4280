#include "attester/tpm.hpp"

#include <algorithm>
#include <array>
#include <mutex>

#include "attest/tpm_quote.hpp"
#include "attester/os_file.hpp"
#include "attester/tss.hpp"
#include "core/text.hpp"

namespace tacit::attester {
namespace {

constexpr std::size_t kCertificateBytesMax = 64 * 1024;
constexpr std::size_t kLogBytesMax = 1024 * 1024;
constexpr std::uint32_t kQuotedPcrs = 0xffff;  // 0 to 15: what firmware, loader and system measure
constexpr int kAttemptsMax = 4;
constexpr std::array<TPM2_HANDLE, 4> kEndorsementCertificates{0x01c00002, 0x01c0000a, 0x01c00014,
                                                              0x01c00016};

// Where clouds put attestation keys and their certificates.
struct CloudKey {
  TPM2_HANDLE certificate;
  TPM2_HANDLE form;        // NV index of the TPMT_PUBLIC to make it from; 0: none
  TPM2_HANDLE persistent;  // handle of the key; 0: none
};
constexpr std::array<CloudKey, 3> kCloudKeys{CloudKey{0x01c10002, 0x01c10003, 0},
                                             CloudKey{0x01c10000, 0x01c10001, 0},
                                             CloudKey{0x01c101d0, 0, 0x81000003}};

// The template of our own attestation key.
TPMT_PUBLIC own_form() {
  TPMT_PUBLIC out{};
  out.type = TPM2_ALG_ECC;
  out.nameAlg = TPM2_ALG_SHA256;
  out.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                         TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                         TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_NODA;
  auto& ecc = out.parameters.eccDetail;
  ecc.symmetric.algorithm = TPM2_ALG_NULL;
  ecc.scheme.scheme = TPM2_ALG_ECDSA;
  ecc.scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
  ecc.curveID = TPM2_ECC_NIST_P256;
  ecc.kdf.scheme = TPM2_ALG_NULL;
  return out;
}

// The usual RSA endorsement key ("TCG EK Credential Profile", template L-1), for TPMs that do not
// keep it at its usual handle.
constexpr TPM2_HANDLE kEndorsementHandle = 0x81010001;
TPMT_PUBLIC endorsement_form() {
  static constexpr std::array<BYTE, 32> kPolicy{0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8,
                                                0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
                                                0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64,
                                                0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa};
  TPMT_PUBLIC out{};
  out.type = TPM2_ALG_RSA;
  out.nameAlg = TPM2_ALG_SHA256;
  out.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                         TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_ADMINWITHPOLICY |
                         TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
  out.authPolicy.size = kPolicy.size();
  std::ranges::copy(kPolicy, out.authPolicy.buffer);
  auto& rsa = out.parameters.rsaDetail;
  rsa.symmetric.algorithm = TPM2_ALG_AES;
  rsa.symmetric.keyBits.aes = 128;
  rsa.symmetric.mode.aes = TPM2_ALG_CFB;
  rsa.scheme.scheme = TPM2_ALG_NULL;
  rsa.keyBits = 2048;
  out.unique.rsa.size = 256;
  return out;
}

Bytes marshalled(const Tss& tss, const TPMT_PUBLIC& area) {
  const TPM2B_PUBLIC whole{0, area};
  Bytes out(sizeof whole);
  std::size_t size = 0;
  if (tss.marshal_public(&whole, reinterpret_cast<BYTE*>(out.data()), out.size(), &size) != 0)
    return {};
  out.resize(size);
  return out;
}

Result<crypto::VerifyingKey> public_key(const TPMT_PUBLIC& area) {
  if (area.type == TPM2_ALG_ECC && area.parameters.eccDetail.curveID == TPM2_ECC_NIST_P256) {
    Bytes raw{std::byte{4}};
    for (const auto* scalar : {&area.unique.ecc.x, &area.unique.ecc.y}) {
      if (scalar->size > 32) return fail(Code::malformed, "public key of the TPM");
      raw.insert(raw.end(), 32 - scalar->size, std::byte{0});
      const auto bytes = as_bytes({reinterpret_cast<const char*>(scalar->buffer), scalar->size});
      raw.insert(raw.end(), bytes.begin(), bytes.end());
    }
    return crypto::VerifyingKey::parse_raw(crypto::KeyKind::ecdsa_p256, raw);
  }
  if (area.type == TPM2_ALG_RSA) {
    const auto exponent = area.parameters.rsaDetail.exponent;
    ByteWriter e;
    e.u32_be(exponent == 0 ? 65537 : exponent);
    const auto& n = area.unique.rsa;
    return crypto::VerifyingKey::from_rsa(
        as_bytes({reinterpret_cast<const char*>(n.buffer), n.size}), e.bytes());
  }
  return fail(Code::unsupported, "attestation key of the TPM");
}

// DER certificates in NV may be followed by padding.
Bytes trimmed_der(Bytes der) {
  if (der.size() < 4 || der[0] != std::byte{0x30} || der[1] != std::byte{0x82}) return der;
  const auto size =
      (std::to_integer<std::size_t>(der[2]) << 8U | std::to_integer<std::size_t>(der[3])) + 4;
  if (size < der.size()) der.resize(size);
  return der;
}

struct Identity {
  TpmConnection::Key key;
  std::vector<Bytes> certificates;
};

Result<TpmConnection::Key> cloud_key(TpmConnection& tpm, const CloudKey& where) {
  if (where.persistent != 0) return tpm.open_persistent(where.persistent);
  TACIT_TRY(const auto bytes, tpm.read_nv(where.form));
  TPMT_PUBLIC form{};
  std::size_t offset = 0;
  if (tpm.tss().unmarshal_public(reinterpret_cast<const BYTE*>(bytes.data()), bytes.size(), &offset,
                                 &form) != 0)
    return fail(Code::malformed, "template of an attestation key");
  return tpm.create_primary(form);
}

// The key that has a certificate; else our own.
Result<Identity> find_identity(TpmConnection& tpm, const TpmOptions& options) {
  Identity out;
  if (options.certificate.empty()) {
    for (const auto& where : kCloudKeys) {
      auto certificate = tpm.read_nv(where.certificate);
      if (!certificate) continue;
      auto key = cloud_key(tpm, where);
      if (!key) continue;
      return Identity{*std::move(key), {trimmed_der(*std::move(certificate))}};
    }
  } else {
    TACIT_TRY(auto pem, read_kernel_file(options.certificate, kCertificateBytesMax));
    out.certificates.push_back(std::move(pem));
  }
  TACIT_TRY(out.key, tpm.create_primary(own_form()));
  return out;
}

class Tpm final : public TpmAttester {
 public:
  Tpm(TpmOptions options, std::unique_ptr<TpmConnection> tpm, Identity identity,
      crypto::VerifyingKey key, std::vector<Bytes> endorsements)
      : options_{std::move(options)},
        tpm_{std::move(tpm)},
        identity_{std::move(identity)},
        key_{std::move(key)},
        endorsements_{std::move(endorsements)},
        public_area_{marshalled(tpm_->tss(), identity_.key.area)} {}

  seal::Attester kind() const override { return seal::Attester::tpm; }
  const crypto::VerifyingKey& key() const override { return key_; }
  bool certified() const override { return !identity_.certificates.empty(); }
  const std::vector<Bytes>& endorsement_certificates() const override { return endorsements_; }
  const Bytes& public_area() const override { return public_area_; }
  Result<SecretBytes> activate(BytesView credential) override {
    const std::scoped_lock lock{mutex_};
    auto endorsement = tpm_->open_persistent(kEndorsementHandle);
    if (!endorsement) endorsement = tpm_->create_primary(endorsement_form());
    if (!endorsement) return fail(endorsement.error());
    return tpm_->activate(identity_.key, *endorsement, credential);
  }

  Result<Attested> attest(const Digest32& data) override {
    const std::scoped_lock lock{mutex_};
    auto answer = ask(data);
    if (answer || answer.error().code() != Code::unavailable) return answer;
    // A TPM that was reset, or a resource manager that was restarted, has forgotten us.
    TACIT_CHECK(reconnect());
    return ask(data);
  }

 private:
  Result<Attested> ask(const Digest32& data) {
    for (int attempt = 1;; ++attempt) {
      TACIT_TRY(const auto quote, tpm_->quote(identity_.key, data, kQuotedPcrs));
      TACIT_TRY(const auto pcrs, tpm_->read_pcrs());
      TACIT_TRY(const auto parsed, attest::parse_tpm_quote(quote.message));
      // Whatever is measured between the two makes them differ; then once more.
      if (!attest::matches_pcrs(parsed, pcrs)) {
        if (attempt == kAttemptsMax)
          return fail(Code::unavailable, "the TPM's PCRs change all the time");
        continue;
      }
      return answer_of(quote, pcrs);
    }
  }
  Attested answer_of(const TpmConnection::Quote& quote, const std::vector<Bytes>& pcrs) const {
    std::string json = R"({"message":")" + to_hex(quote.message) + R"(","signature":")" +
                       to_hex(quote.signature) + R"(","pcrs":[)";
    for (std::size_t i = 0; i < pcrs.size(); ++i)
      json += (i == 0 ? "\"" : ",\"") + to_hex(pcrs[i]) + "\"";
    json += "]}";
    const auto bytes = as_bytes(json);
    Attested out{{bytes.begin(), bytes.end()}, identity_.certificates, {}};
    out.collateral.insert(out.collateral.end(), endorsements_.begin(), endorsements_.end());
    if (auto log = read_if_there(options_.event_log, kLogBytesMax); !log.empty())
      out.event_logs.push_back(std::move(log));
    return out;
  }
  Result<void> reconnect() {
    tpm_.reset();  // most TPMs have one conversation at a time
    TACIT_TRY(tpm_, TpmConnection::open(options_.tcti));
    TACIT_TRY(auto identity, find_identity(*tpm_, options_));
    TACIT_TRY(const auto key, public_key(identity.key.area));
    if (!(key == key_)) return fail(Code::unavailable, "the TPM has another key than before");
    identity_ = std::move(identity);
    return {};
  }

  const TpmOptions options_;
  std::mutex mutex_;
  std::unique_ptr<TpmConnection> tpm_;
  Identity identity_;
  const crypto::VerifyingKey key_;
  const std::vector<Bytes> endorsements_;
  const Bytes public_area_;
};

}  // namespace

Result<std::unique_ptr<TpmAttester>> open_tpm(TpmOptions options) {
  if (options.tcti.empty()) {
    if (!std::filesystem::exists(kTpmDevice))
      return fail(Error{Code::not_found, "this machine has no TPM 2.0"}
                      .about(PublicText{kTpmDevice})
                      .fix("Name one with --tpm, as tpm2-tools do: swtpm:host=...,port=..."));
    options.tcti = std::string{"device:"} + kTpmDevice;
  }
  TACIT_TRY(auto tpm, TpmConnection::open(options.tcti));
  TACIT_TRY(auto identity, find_identity(*tpm, options));
  TACIT_TRY(auto key, public_key(identity.key.area));
  std::vector<Bytes> endorsements;
  for (const auto index : kEndorsementCertificates)
    if (auto certificate = tpm->read_nv(index))
      endorsements.push_back(trimmed_der(*std::move(certificate)));
  return std::make_unique<Tpm>(std::move(options), std::move(tpm), std::move(identity),
                               std::move(key), std::move(endorsements));
}

}  // namespace tacit::attester
