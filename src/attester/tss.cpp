#include "attester/tss.hpp"

#include <algorithm>
#include <array>

namespace tacit::attester {
namespace {

constexpr std::size_t kNvPieceBytes = 512;
constexpr std::size_t kNvBytesMax = 16 * 1024;
constexpr unsigned kPcrs = 24;
constexpr int kPcrRoundsMax = 24;

Error tpm_error(Literal what, TSS2_RC code) {
  return Error{Code::unavailable, what}.with("tpm_rc", code);
}

// Freed is what tpm2-tss allocated.
template <class T> class Freed {
 public:
  explicit Freed(const Tss& tss) : tss_{tss} {}
  ~Freed() {
    if (object_ != nullptr) tss_.free(object_);
  }
  Freed(const Freed&) = delete;
  Freed& operator=(const Freed&) = delete;
  T** out() noexcept { return &object_; }
  const T& operator*() const noexcept { return *object_; }
  const T* operator->() const noexcept { return object_; }

 private:
  const Tss& tss_;
  T* object_ = nullptr;
};

Bytes bytes_of(const BYTE* data, std::size_t size) {
  const auto* const first = reinterpret_cast<const std::byte*>(data);
  return {first, first + size};
}

TPML_PCR_SELECTION selection_of(std::uint32_t pcrs) {
  TPML_PCR_SELECTION out{};
  out.count = 1;
  out.pcrSelections[0].hash = TPM2_ALG_SHA256;
  out.pcrSelections[0].sizeofSelect = 3;
  for (unsigned i = 0; i < 3; ++i)
    out.pcrSelections[0].pcrSelect[i] = static_cast<BYTE>(pcrs >> (8 * i));
  return out;
}

}  // namespace

Result<Tss> Tss::load() {
  Tss out{};
  auto esys = Library::open("libtss2-esys.so.0");
  auto mu = Library::open("libtss2-mu.so.0");
  auto tctildr = Library::open("libtss2-tctildr.so.0");
  if (!esys || !mu || !tctildr)
    return fail(Error{Code::not_found, "tpm2-tss is not installed"}.fix(
        "Install it, on Debian with: apt-get install libtss2-esys-3.0.2-0 libtss2-tctildr0"));
  out.esys = *std::move(esys);
  out.mu = *std::move(mu);
  out.tctildr = *std::move(tctildr);
  const bool complete =
      out.tctildr.find("Tss2_TctiLdr_Initialize", out.tcti_initialize) &&
      out.tctildr.find("Tss2_TctiLdr_Finalize", out.tcti_finalize) &&
      out.esys.find("Esys_Initialize", out.initialize) &&
      out.esys.find("Esys_Finalize", out.finalize) && out.esys.find("Esys_Free", out.free) &&
      out.esys.find("Esys_CreatePrimary", out.create_primary) &&
      out.esys.find("Esys_ReadPublic", out.read_public) &&
      out.esys.find("Esys_FlushContext", out.flush_context) &&
      out.esys.find("Esys_GetCapability", out.get_capability) &&
      out.esys.find("Esys_TR_FromTPMPublic", out.from_handle) &&
      out.esys.find("Esys_NV_ReadPublic", out.nv_read_public) &&
      out.esys.find("Esys_NV_Read", out.nv_read) && out.esys.find("Esys_PCR_Read", out.pcr_read) &&
      out.esys.find("Esys_Quote", out.quote) &&
      out.esys.find("Esys_StartAuthSession", out.start_session) &&
      out.esys.find("Esys_PolicySecret", out.policy_secret) &&
      out.esys.find("Esys_ActivateCredential", out.activate_credential) &&
      out.mu.find("Tss2_MU_TPM2B_PUBLIC_Marshal", out.marshal_public) &&
      out.mu.find("Tss2_MU_TPM2B_ID_OBJECT_Unmarshal", out.unmarshal_credential) &&
      out.mu.find("Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal", out.unmarshal_secret) &&
      out.mu.find("Tss2_MU_TPMT_SIGNATURE_Marshal", out.marshal_signature) &&
      out.mu.find("Tss2_MU_TPMT_PUBLIC_Unmarshal", out.unmarshal_public);
  if (!complete)
    return fail(Error{Code::not_found, "tpm2-tss lacks a function"}.fix("Install version 3 or 4"));
  return out;
}

Result<std::unique_ptr<TpmConnection>> TpmConnection::open(const std::string& tcti) {
  TACIT_TRY(auto tss, Tss::load());
  std::unique_ptr<TpmConnection> out{new TpmConnection(std::move(tss))};
  if (const auto code = out->tss_.tcti_initialize(tcti.c_str(), &out->tcti_); code != 0)
    return fail(tpm_error("no TPM there, or it may not be used", code)
                    .about(PublicText{tcti})
                    .fix("Check that the device exists and that this user may use it (group tss)"));
  if (const auto code = out->tss_.initialize(&out->context_, out->tcti_, nullptr); code != 0)
    return fail(tpm_error("the TPM does not answer", code).about(PublicText{tcti}));
  return out;
}

TpmConnection::~TpmConnection() {
  for (const auto handle : transient_) tss_.flush_context(context_, handle);
  if (context_ != nullptr) tss_.finalize(&context_);
  if (tcti_ != nullptr) tss_.tcti_finalize(&tcti_);
}

Result<TpmConnection::Key> TpmConnection::create_primary(const TPMT_PUBLIC& form) {
  const TPM2B_SENSITIVE_CREATE no_secret{};
  const TPM2B_PUBLIC public_area{0, form};
  const TPM2B_DATA no_data{};
  const TPML_PCR_SELECTION no_pcrs{};
  Freed<TPM2B_PUBLIC> made{tss_};
  Freed<TPM2B_CREATION_DATA> data{tss_};
  Freed<TPM2B_DIGEST> hash{tss_};
  Freed<TPMT_TK_CREATION> ticket{tss_};
  Key out;
  const auto code =
      tss_.create_primary(context_, ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                          ESYS_TR_NONE, &no_secret, &public_area, &no_data, &no_pcrs, &out.handle,
                          made.out(), data.out(), hash.out(), ticket.out());
  if (code != 0) return fail(tpm_error("the TPM makes no attestation key", code));
  transient_.push_back(out.handle);
  out.area = made->publicArea;
  return out;
}

bool TpmConnection::has_handle(TPM2_HANDLE handle) {
  TPMI_YES_NO more = 0;
  Freed<TPMS_CAPABILITY_DATA> found{tss_};
  const auto code = tss_.get_capability(context_, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                        TPM2_CAP_HANDLES, handle, 1, &more, found.out());
  return code == 0 && found->capability == TPM2_CAP_HANDLES && found->data.handles.count == 1 &&
         found->data.handles.handle[0] == handle;
}

Result<TpmConnection::Key> TpmConnection::open_persistent(TPM2_HANDLE handle) {
  Key out;
  if (!has_handle(handle))
    return fail(Error{Code::not_found, "the TPM has no key there"}.with("handle", handle));
  if (const auto code =
          tss_.from_handle(context_, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &out.handle);
      code != 0)
    return fail(tpm_error("the TPM has no key there", code).with("handle", handle));
  Freed<TPM2B_PUBLIC> area{tss_};
  Freed<TPM2B_NAME> name{tss_};
  Freed<TPM2B_NAME> qualified{tss_};
  if (const auto code = tss_.read_public(context_, out.handle, ESYS_TR_NONE, ESYS_TR_NONE,
                                         ESYS_TR_NONE, area.out(), name.out(), qualified.out());
      code != 0)
    return fail(tpm_error("the TPM does not show its key", code).with("handle", handle));
  out.area = area->publicArea;
  return out;
}

Result<Bytes> TpmConnection::read_nv(TPM2_HANDLE index) {
  ESYS_TR handle = ESYS_TR_NONE;
  const auto absent = [&](TSS2_RC code) {
    return fail(Error{Code::not_found, "nothing readable at an index of the TPM"}
                    .with("index", index)
                    .with("tpm_rc", code));
  };
  if (!has_handle(index)) return absent(0);
  if (const auto code =
          tss_.from_handle(context_, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &handle);
      code != 0)
    return absent(code);
  Freed<TPM2B_NV_PUBLIC> area{tss_};
  Freed<TPM2B_NAME> name{tss_};
  if (const auto code = tss_.nv_read_public(context_, handle, ESYS_TR_NONE, ESYS_TR_NONE,
                                            ESYS_TR_NONE, area.out(), name.out());
      code != 0)
    return absent(code);
  const std::size_t size = area->nvPublic.dataSize;
  if (size > kNvBytesMax) return fail(Code::too_large, "data at an index of the TPM");
  Bytes out;
  while (out.size() < size) {
    Freed<TPM2B_MAX_NV_BUFFER> piece{tss_};
    const auto want = static_cast<UINT16>(std::min(kNvPieceBytes, size - out.size()));
    if (const auto code =
            tss_.nv_read(context_, handle, handle, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                         want, static_cast<UINT16>(out.size()), piece.out());
        code != 0)
      return absent(code);
    if (piece->size == 0) return fail(Code::malformed, "data at an index of the TPM");
    const auto bytes = bytes_of(piece->buffer, piece->size);
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  return out;
}

Result<std::vector<Bytes>> TpmConnection::read_pcrs() {
  std::vector<Bytes> out(kPcrs);
  std::uint32_t missing = (1U << kPcrs) - 1;
  for (int round = 0; missing != 0 && round < kPcrRoundsMax; ++round) {  // eight at a time
    const auto wanted = selection_of(missing);
    UINT32 counter = 0;
    Freed<TPML_PCR_SELECTION> given{tss_};
    Freed<TPML_DIGEST> values{tss_};
    if (const auto code = tss_.pcr_read(context_, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &wanted,
                                        &counter, given.out(), values.out());
        code != 0)
      return fail(tpm_error("the TPM does not show its PCRs", code));
    if (given->count != 1 || given->pcrSelections[0].hash != TPM2_ALG_SHA256) break;
    UINT32 next = 0;
    for (unsigned i = 0; i < kPcrs && next < values->count; ++i) {
      if ((given->pcrSelections[0].pcrSelect[i / 8] >> (i % 8) & 1) == 0) continue;
      out[i] = bytes_of(values->digests[next].buffer, values->digests[next].size);
      missing &= ~(1U << i);
      ++next;
    }
    if (next == 0) break;
  }
  if (missing != 0)
    return fail(Error{Code::unsupported, "the TPM has no PCRs of SHA-256"}.fix(
        "Switch the SHA-256 bank on in the firmware's set-up"));
  return out;
}

Result<SecretBytes> TpmConnection::activate(const Key& key, const Key& endorsement,
                                            BytesView credential) {
  // tpm2-tools write eight bytes before the two structures.
  constexpr std::array<std::byte, 4> kToolsMagic{std::byte{0xba}, std::byte{0xdc}, std::byte{0xc0},
                                                 std::byte{0xde}};
  if (credential.size() > 8 && std::ranges::equal(credential.first(4), kToolsMagic))
    credential = credential.subspan(8);
  const auto* const bytes = reinterpret_cast<const BYTE*>(credential.data());
  TPM2B_ID_OBJECT blob{};
  TPM2B_ENCRYPTED_SECRET seed{};
  std::size_t at = 0;
  if (tss_.unmarshal_credential(bytes, credential.size(), &at, &blob) != 0 ||
      tss_.unmarshal_secret(bytes, credential.size(), &at, &seed) != 0 || at != credential.size())
    return fail(Error{Code::malformed, "this is no TPM credential"}.fix(
        "It is a TPM2B_ID_OBJECT and a TPM2B_ENCRYPTED_SECRET, as tpm2_makecredential writes "
        "them"));
  TPMT_SYM_DEF no_encryption{};
  no_encryption.algorithm = TPM2_ALG_NULL;
  ESYS_TR session = ESYS_TR_NONE;
  if (const auto code = tss_.start_session(context_, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                           ESYS_TR_NONE, ESYS_TR_NONE, nullptr, TPM2_SE_POLICY,
                                           &no_encryption, TPM2_ALG_SHA256, &session);
      code != 0)
    return fail(tpm_error("the TPM starts no session", code));
  Freed<TPM2B_DIGEST> hidden{tss_};
  auto code =
      tss_.policy_secret(context_, ESYS_TR_RH_ENDORSEMENT, session, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                         ESYS_TR_NONE, nullptr, nullptr, nullptr, 0, nullptr, nullptr);
  if (code == 0)
    code = tss_.activate_credential(context_, key.handle, endorsement.handle, ESYS_TR_PASSWORD,
                                    session, ESYS_TR_NONE, &blob, &seed, hidden.out());
  tss_.flush_context(context_, session);
  if (code != 0)
    return fail(
        Error{Code::forbidden, "the credential is for another TPM, or another key of it"}.with(
            "tpm_rc", code));
  return SecretBytes{as_bytes({reinterpret_cast<const char*>(hidden->buffer), hidden->size})};
}

Result<TpmConnection::Quote> TpmConnection::quote(const Key& key, BytesView qualifying_data,
                                                  std::uint32_t pcrs) {
  TPM2B_DATA data{};
  if (qualifying_data.size() > sizeof data.buffer)
    return fail(Code::internal, "data of a TPM quote");
  data.size = static_cast<UINT16>(qualifying_data.size());
  std::memcpy(data.buffer, qualifying_data.data(), qualifying_data.size());
  const TPMT_SIG_SCHEME of_the_key{TPM2_ALG_NULL, {}};
  const auto selection = selection_of(pcrs);
  Freed<TPM2B_ATTEST> attest{tss_};
  Freed<TPMT_SIGNATURE> signature{tss_};
  if (const auto code =
          tss_.quote(context_, key.handle, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &data,
                     &of_the_key, &selection, attest.out(), signature.out());
      code != 0)
    return fail(tpm_error("the TPM does not quote", code));
  Quote out{bytes_of(attest->attestationData, attest->size), Bytes(sizeof(TPMT_SIGNATURE))};
  std::size_t size = 0;
  if (tss_.marshal_signature(&*signature, reinterpret_cast<BYTE*>(out.signature.data()),
                             out.signature.size(), &size) != 0)
    return fail(Code::malformed, "signature of a TPM quote");
  out.signature.resize(size);
  return out;
}

}  // namespace tacit::attester
