#include "attest/bundle.hpp"

#include <algorithm>

#include "core/text.hpp"
#include "crypto/hash.hpp"

namespace tacit::attest {
namespace {

constexpr std::uint8_t kVersion = 1;
// Under these names the parts of a bundle are judged.
constexpr std::string_view kHardwareName = "hardware";
constexpr std::string_view kDeviceName = "device ";

// In this order, and no other, do the items of a bundle stand.
enum class ItemType : std::uint8_t {
  hardware = 1,
  device = 2,
  collateral = 3,
  event_log = 4,
  policy = 5,
  model = 6,
};

void put_item(ByteWriter& out, ItemType type, BytesView bytes) {
  out.u8(static_cast<std::uint8_t>(type));
  out.u32_be(static_cast<std::uint32_t>(bytes.size()));
  out.raw(bytes);
}

std::size_t num_items(const Bundle& bundle) {
  return 1 + bundle.devices.size() + bundle.collateral.size() + bundle.event_logs.size() +
         (bundle.policy.empty() ? 0 : 1) + bundle.models.size();
}

Bytes encode_model(const ServedModel& model) {
  ByteWriter out;
  out.raw(model.sha256);
  out.raw(model.name);
  return std::move(out).take();
}

Result<ServedModel> parse_model(BytesView bytes) {
  ByteReader in{bytes};
  ServedModel out;
  TACIT_TRY(const auto digest, in.take(out.sha256.size()));
  std::ranges::copy(digest, out.sha256.begin());
  TACIT_TRY(const auto name, in.take(in.remaining()));
  out.name = as_text(name);
  const bool printable_name =
      std::ranges::all_of(out.name, [](char c) { return c > 0x20 && c < 0x7f; });
  if (out.name.empty() || out.name.size() > kModelNameBytesMax || !printable_name)
    return fail(Error{Code::malformed, "model name in an evidence bundle"}.fix(
        "Name the model's file in printable ASCII, without blanks"));
  return out;
}

Result<void> add_to(std::vector<Bytes>& list, BytesView bytes, std::size_t items_max) {
  if (list.size() == items_max)
    return fail(Error{Code::too_large, "items of one type in an evidence bundle"}.with(
        "limit", static_cast<std::int64_t>(items_max)));
  list.emplace_back(bytes.begin(), bytes.end());
  return {};
}

Result<void> take_item(Bundle& out, ItemType type, BytesView bytes) {
  switch (type) {
    case ItemType::hardware:
      if (!out.hardware.empty()) return fail(Code::malformed, "two pieces of hardware evidence");
      out.hardware.assign(bytes.begin(), bytes.end());
      return {};
    case ItemType::device: return add_to(out.devices, bytes, kBundleDevicesMax);
    case ItemType::collateral: return add_to(out.collateral, bytes, kBundleItemsMax);
    case ItemType::event_log: return add_to(out.event_logs, bytes, kBundleLogsMax);
    case ItemType::policy:
      if (!out.policy.empty() || bytes.size() > kOperatorPolicyBytesMax || !is_utf8(as_text(bytes)))
        return fail(Code::malformed, "operator's policy in an evidence bundle");
      out.policy = as_text(bytes);
      return {};
    case ItemType::model: {
      if (out.models.size() == kBundleModelsMax)
        return fail(
            Error{Code::too_large, "models in an evidence bundle"}.with("limit", kBundleModelsMax));
      TACIT_TRY(auto model, parse_model(bytes));
      out.models.push_back(std::move(model));
      return {};
    }
  }
  return fail(Code::malformed, "type of an item in an evidence bundle");
}

Digest32 digest_of(const std::vector<Bytes>& list) {
  ByteWriter all;
  for (const auto& one : list) {
    all.u32_be(static_cast<std::uint32_t>(one.size()));
    all.raw(one);
  }
  return crypto::sha256(all.bytes());
}

}  // namespace

Bytes encode_bundle(const Bundle& bundle) {
  ByteWriter out;
  out.u8(kVersion);
  out.u16_be(static_cast<std::uint16_t>(num_items(bundle)));
  put_item(out, ItemType::hardware, bundle.hardware);
  for (const auto& one : bundle.devices) put_item(out, ItemType::device, one);
  for (const auto& one : bundle.collateral) put_item(out, ItemType::collateral, one);
  for (const auto& one : bundle.event_logs) put_item(out, ItemType::event_log, one);
  if (!bundle.policy.empty()) put_item(out, ItemType::policy, as_bytes(bundle.policy));
  for (const auto& one : bundle.models) put_item(out, ItemType::model, encode_model(one));
  return std::move(out).take();
}

Result<Bundle> parse_bundle(BytesView bytes) {
  if (bytes.size() > kBundleBytesMax)
    return fail(Error{Code::too_large, "evidence bundle"}.with("limit", kBundleBytesMax));
  ByteReader in{bytes};
  TACIT_TRY(const auto version, in.u8());
  if (version != kVersion) return fail(Code::unsupported, "version of an evidence bundle");
  TACIT_TRY(const auto count, in.u16_be());
  if (count > kBundleItemsMax)
    return fail(
        Error{Code::too_large, "items in an evidence bundle"}.with("limit", kBundleItemsMax));
  Bundle out;
  std::uint8_t last = 0;
  for (unsigned i = 0; i < count; ++i) {
    TACIT_TRY(const auto type, in.u8());
    TACIT_TRY(const auto size, in.u32_be());
    TACIT_TRY(const auto item, in.take(size));
    if (type < last || item.empty())
      return fail(Code::malformed, "order or size of the items of an evidence bundle");
    last = type;
    TACIT_CHECK(take_item(out, ItemType{type}, item));
  }
  if (!in.done()) return fail(Code::malformed, "bytes after an evidence bundle");
  if (out.hardware.empty()) return fail(Code::malformed, "evidence bundle without hardware");
  return out;
}

Digest32 device_nonce(const Digest32& nonce, const Digest32& statement_digest) {
  ByteWriter in;
  in.raw("tacit device nonce v1");
  in.u8(0);
  in.raw(nonce);
  in.raw(statement_digest);
  return crypto::sha256(in.bytes());
}

Digest32 report_data(const Digest32& nonce, const Digest32& statement_digest,
                     const Bundle& bundle) {
  std::vector<Bytes> models;
  models.reserve(bundle.models.size());
  for (const auto& one : bundle.models) models.push_back(encode_model(one));
  ByteWriter in;
  in.raw("tacit report data v1");
  in.u8(0);
  in.raw(nonce);
  in.raw(statement_digest);
  in.raw(digest_of(bundle.devices));
  in.raw(crypto::sha256(as_bytes(bundle.policy)));
  in.raw(digest_of(models));
  return crypto::sha256(in.bytes());
}

namespace {

// The rules about what the hardware vouches for beside itself: a piece of the answer of its own.
class EndpointRules {
 public:
  EndpointRules(const BundleQuestion& question, Answer& answer)
      : question_{question}, answer_{answer} {}

  void check() {
    check_kinds();
    check_binding();
    check_models();
    check_operator_policy();
    check_event_logs();
    const bool proved = answer_.verdict == Verdict::accept && out_.reasons().empty();
    if (proved) {
      claim_all();
      out_.complete();
    }
    answer_.verdict = std::max(answer_.verdict, out_.verdict());
    answer_.pieces.push_back(std::move(out_));
  }

 private:
  static bool contains(const AcceptedValues& values, BytesView value) {
    return std::ranges::any_of(values,
                               [&](const Bytes& v) { return std::ranges::equal(v, value); });
  }
  static std::string list_of(const AcceptedValues& values) {
    std::string out;
    for (const auto& value : values) {
      if (out.size() > 400) return out + " ...";
      out += (out.empty() ? "" : " or ") + to_hex(value);
    }
    return out;
  }

  void check_kinds() {
    bool found = false;
    for (const auto& piece : answer_.pieces) {
      const bool hardware = piece.name() == kHardwareName;
      found = found || hardware;
      if (hardware && piece.kind() != question_.kind)
        out_.reject("hardware", "evidence of kind " + std::string{question_.kind}, piece.kind());
      if (piece.name().starts_with(kDeviceName) && !piece.kind().starts_with("nvidia-"))
        out_.reject("device", "evidence of a GPU or switch", piece.kind());
    }
    if (!found) out_.reject("hardware", "evidence of kind " + std::string{question_.kind}, "none");
  }

  // Says in words what a wrong nonce or report data means here.
  void check_binding() {
    for (const auto& piece : answer_.pieces)
      for (const auto& reason : piece.reasons())
        if (reason.rule == "nonce" || reason.rule == "report-data") {
          out_.reject("binding", "evidence made for this nonce, key, policy, devices and models",
                      "evidence that was made for others: a replay, or another server's");
          return;
        }
  }

  void check_models() {
    const auto& allowed = question_.policy.endpoint.models_allowed;
    const auto& models = question_.bundle.models;
    for (const auto& wanted : question_.policy.endpoint.models_required) {
      const bool served = std::ranges::any_of(
          models, [&](const ServedModel& m) { return std::ranges::equal(m.sha256, wanted); });
      if (!served) out_.reject("models", "a model with SHA-256 " + to_hex(wanted), names());
    }
    if (allowed.empty()) return;
    for (const auto& model : models)
      if (!contains(allowed, model.sha256))
        out_.reject("models", "models with SHA-256 " + list_of(allowed),
                    printable(model.name) + " with " + to_hex(model.sha256));
    if (models.empty()) out_.reject("models", "at least one model", "none is served");
  }

  std::string names() const {
    std::string out;
    for (const auto& model : question_.bundle.models) {
      if (out.size() > 400) return out + " ...";
      out += (out.empty() ? "" : ", ") + printable(model.name) + " with " + to_hex(model.sha256);
    }
    return out.empty() ? "none is served" : out;
  }

  void check_operator_policy() {
    const auto& accepted = question_.policy.endpoint.policies;
    const auto digest = crypto::sha256(as_bytes(question_.bundle.policy));
    if (!accepted.empty() && !contains(accepted, digest))
      out_.reject("operator-policy", "an operator's policy with SHA-256 " + list_of(accepted),
                  to_hex(digest));
  }

  // A log that the registers do not confirm says nothing; that it was there should not mislead.
  void check_event_logs() {
    const bool replayed = std::ranges::any_of(answer_.pieces, [](const Appraisal& piece) {
      return std::ranges::any_of(piece.claims(),
                                 [](const Claim& c) { return c.name.starts_with("event_log"); });
    });
    if (!question_.bundle.event_logs.empty() && !replayed)
      out_.warn("event-log-unconfirmed",
                "The server sent an event log, but the measured registers do not confirm it.");
  }

  void claim_all() {
    out_.claim("statement", question_.statement_digest, Source::hardware);
    for (const auto& model : question_.bundle.models)
      out_.claim("model", printable(model.name) + " " + to_hex(model.sha256), Source::derived);
    if (!question_.bundle.policy.empty())
      out_.claim("operator_policy", crypto::sha256(as_bytes(question_.bundle.policy)),
                 Source::derived);
    out_.warn("software-claims",
              "Models and policy are what the measured software says of itself: worth as much as "
              "the measurements that your policy lists.");
  }

  const BundleQuestion& question_;
  Answer& answer_;
  Appraisal out_{"endpoint", "bundle"};
};

}  // namespace

Answer appraise_bundle(const BundleQuestion& question, SignatureMemory& memory) {
  const auto& bundle = question.bundle;
  const auto bound = report_data(question.nonce, question.statement_digest, bundle);
  const auto device = device_nonce(question.nonce, question.statement_digest);
  std::vector<Input> evidence;
  const auto add = [&](std::string name, const Bytes& bytes, const Digest32& nonce) {
    evidence.push_back({std::move(name), bytes, true, Bytes{nonce.begin(), nonce.end()}});
  };
  add(std::string{kHardwareName}, bundle.hardware, bound);
  for (std::size_t i = 0; i < bundle.devices.size(); ++i)
    add(std::string{kDeviceName} + std::to_string(i), bundle.devices[i], device);
  for (std::size_t i = 0; i < bundle.event_logs.size(); ++i)
    evidence.push_back({"event log " + std::to_string(i), bundle.event_logs[i], false, {}});
  std::vector<Input> collateral{question.collateral.begin(), question.collateral.end()};
  for (std::size_t i = 0; i < bundle.collateral.size(); ++i)
    collateral.push_back({"collateral " + std::to_string(i), bundle.collateral[i], false, {}});
  const Question inner{.evidence = evidence,
                       .collateral = collateral,
                       .policy = question.policy,
                       .now = question.now,
                       .nonce = {},
                       .report_data = {},
                       .endpoint_checked = true};
  auto answer = appraise(inner, memory);
  EndpointRules{question, answer}.check();
  return answer;
}

Answer appraise_bundle(const BundleQuestion& question) {
  SignatureMemory memory;
  return appraise_bundle(question, memory);
}

}  // namespace tacit::attest
