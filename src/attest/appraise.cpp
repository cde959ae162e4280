#include "attest/appraise.hpp"

#include <algorithm>
#include <map>

#include "attest/collateral_check.hpp"
#include "attest/event_log_check.hpp"
#include "attest/json.hpp"
#include "core/text.hpp"

namespace tacit::attest {
namespace {

bool is_blank(std::byte b) {
  return b == std::byte{' '} || b == std::byte{'\n'} || b == std::byte{'\r'} ||
         b == std::byte{'\t'};
}

// What hexadecimal or base64 text holds; nullopt when `raw` is neither.
std::optional<Bytes> decoded_text(BytesView raw) {
  std::string text;
  text.reserve(raw.size());
  for (const auto b : raw) {
    if (is_blank(b)) continue;
    const auto c = std::to_integer<char>(b);
    if (c < 0x21 || c > 0x7e) return std::nullopt;
    text += c;
  }
  if (text.size() < 64) return std::nullopt;
  std::string_view digits = text;
  if (digits.starts_with("0x")) digits.remove_prefix(2);
  if (auto bytes = from_hex(digits)) return bytes;
  return from_base64(text);
}

// A document and what its views point to.
struct OwnedDocument {
  std::optional<Bytes> decoded;
  Document document;
};

OwnedDocument read_document(BytesView raw) {
  OwnedDocument out;
  out.decoded = decoded_text(raw);
  out.document.raw = raw;
  out.document.bytes = out.decoded ? BytesView{*out.decoded} : raw;
  const auto* const first = std::ranges::find_if_not(raw, is_blank, {}).base();
  if (first != raw.data() + raw.size() && (*first == std::byte{'{'} || *first == std::byte{'['}))
    out.document.is_json = parse_json(as_text(raw)).has_value();
  return out;
}

// Collateral as read, and what was noticed while reading it.
struct Known {
  Collateral collateral;
  std::vector<std::pair<std::string, EventLogPtr>> listed_logs;
  std::vector<Reason> reasons;
  std::vector<std::string> passed_over;
};

class Appraiser {
 public:
  // `known` is collateral that was read before, and what was wrong with it.
  Appraiser(const Question& question, Known known, SignatureMemory& memory)
      : question_{question}, memory_{memory}, known_{std::move(known)} {
    answer_.reasons = known_.reasons;
    answer_.passed_over = known_.passed_over;
  }

  // Only reads the collateral.
  Known read() {
    for (const auto& input : question_.collateral) add_collateral(input);
    known_.reasons = std::move(answer_.reasons);
    known_.passed_over = std::move(answer_.passed_over);
    return std::move(known_);
  }

  Answer run() {
    for (const auto& input : question_.collateral) add_collateral(input);
    for (const auto& input : question_.evidence) add_evidence(input);
    for (const auto& format : evidence_formats())
      if (format.combine != nullptr) format.combine(gathered_);
    for (const auto& unknown : gathered_.unknown)
      answer_.pieces.emplace_back("unknown", printable(unknown.name))
          .reject("format", "evidence or collateral of a known kind",
                  Error{Code::not_found, "neither of a kind that is known here"});
    for (const auto& piece : gathered_.pieces) appraise_piece(piece);
    judge_together();
    return std::move(answer_);
  }

 private:
  void reason(Verdict verdict, const char* rule, std::string expected, std::string actual) {
    answer_.reasons.push_back({verdict, rule, std::move(expected), std::move(actual)});
  }

  bool too_large(const Input& input) {
    if (input.bytes.size() <= kEvidenceBytesMax) return false;
    if (input.listed)
      reason(Verdict::reject, "size", "files of at most 2 MiB", printable(input.name));
    else
      answer_.passed_over.push_back(input.name);
    return true;
  }

  void add_collateral(const Input& input) {
    if (too_large(input)) return;
    const auto added = add_known(input);
    if (added) return;
    if (!input.listed)
      answer_.passed_over.push_back(input.name);
    else
      reason(Verdict::reject, "collateral", "collateral of a known kind",
             printable(input.name) + ": " + added.error().message());
  }

  Result<void> add_known(const Input& input) {
    const auto num_logs = known_.collateral.event_logs.size();
    TACIT_CHECK(known_.collateral.add(input.bytes, input.listed));
    if (input.listed && known_.collateral.event_logs.size() > num_logs)
      known_.listed_logs.emplace_back(input.name, known_.collateral.event_logs.back());
    return {};
  }

  void add_evidence(const Input& input) {
    if (too_large(input)) return;
    const auto owned = read_document(input.bytes);
    for (const auto& format : evidence_formats()) {
      auto found = format.find(owned.document);
      if (!found) continue;
      if (!*found) {
        auto& piece = answer_.pieces.emplace_back(std::string{format.name}, input.name);
        piece.reject("format", "well-formed evidence", found->error());
        return;
      }
      for (auto& evidence : **found) {
        if (gathered_.pieces.size() == kEvidencePiecesMax) {
          reason(Verdict::reject, "size", "at most 64 pieces of evidence", "more");
          return;
        }
        gathered_.pieces.push_back({input.name, std::move(evidence), input.nonce});
      }
      return;
    }
    const auto added = add_known(input);
    if (added) return;
    if (!input.listed) {
      answer_.passed_over.push_back(input.name);
    } else if (added.error().code() == Code::not_found || input.bytes.size() <= 1024) {
      gathered_.unknown.push_back({input.name, input.bytes});
    } else {
      answer_.pieces.emplace_back("unknown", printable(input.name))
          .reject("format", "evidence or collateral of a known kind", added.error());
    }
  }

  void appraise_piece(const Piece& piece) {
    Context context{known_.collateral, question_.policy,      question_.now, memory_,
                    question_.nonce,   question_.report_data, replays_};
    if (piece.nonce) {
      context.nonce = piece.nonce;
      context.report_data.reset();
    }
    auto& out =
        answer_.pieces.emplace_back(std::string{piece.evidence->kind()}, printable(piece.name));
    piece.evidence->appraise(context, out);
  }

  void check_unique() {
    std::map<std::string, std::size_t> seen;
    for (const auto& piece : gathered_.pieces)
      if (auto identity = piece.evidence->identity(); !identity.empty())
        ++seen[std::move(identity)];
    for (const auto& [identity, count] : seen)
      if (count > 1)
        reason(Verdict::reject, "unique-devices", "each device once",
               printable(identity) + " " + std::to_string(count) + " times");
  }

  unsigned count(std::string_view kind) const {
    return static_cast<unsigned>(
        std::ranges::count(answer_.pieces, kind, [](const Appraisal& a) { return a.kind(); }));
  }

  void check_required() {
    for (const auto& kind : question_.policy.required)
      if (count(kind) == 0) reason(Verdict::reject, "required", "evidence of kind " + kind, "none");
    const auto at_least = [&](const char* kind, unsigned wanted) {
      if (count(kind) < wanted)
        reason(Verdict::reject, "required", std::to_string(wanted) + " of kind " + kind,
               std::to_string(count(kind)));
    };
    at_least("nvidia-gpu", question_.policy.nvidia.gpus_min);
    at_least("nvidia-switch", question_.policy.nvidia.switches_min);
    if (question_.policy.endpoint.any() && !question_.endpoint_checked)
      reason(Verdict::reject, "endpoint",
             "a server's evidence bundle, as the policy has [endpoint]",
             "bare evidence, which says nothing about models and policies");
  }

  // A log that was named must be about something that was quoted, and agree with it.
  void check_logs() {
    for (const auto& [name, log] : known_.listed_logs) {
      if (answer_.pieces.empty() || gathered_.pieces.empty()) {
        describe_event_log(*log, answer_.pieces.emplace_back("event-log", printable(name)));
        continue;
      }
      const auto* outcome = replays_.find(*log);
      if ((outcome != nullptr && outcome->matched) || log->sha1_only()) continue;
      if (outcome != nullptr && !outcome->expected.empty())
        reason(Verdict::reject, "event-log", outcome->expected,
               printable(name) + ": " + outcome->actual);
      else
        reason(Verdict::reject, "event-log", "a log about registers that were quoted",
               printable(name) + " is about none of them");
    }
  }

  void judge_together() {
    check_unique();
    if (answer_.pieces.empty())
      check_collateral(known_.collateral, question_.now, memory_, answer_.pieces);
    check_logs();
    check_required();
    const bool has_gpu = count("nvidia-gpu") > 0;
    if (has_gpu && !answer_.pieces.empty())
      answer_.pieces.front().warn(
          "gpu-not-bound",
          "Nothing binds the GPU to the CPU's enclave: its evidence may come "
          "from another machine.");
    if (answer_.pieces.empty() && answer_.reasons.empty())
      reason(Verdict::cannot_tell, "evidence", "at least one piece of evidence", "none");
    answer_.verdict = Verdict::accept;
    const auto worse = [&](Verdict v) { answer_.verdict = std::max(answer_.verdict, v); };
    for (const auto& one : answer_.reasons) worse(one.verdict);
    for (const auto& piece : answer_.pieces) worse(piece.verdict());
  }

  const Question& question_;
  SignatureMemory& memory_;
  Known known_;
  Gathered gathered_;
  LogReplays replays_;
  Answer answer_;
};

}  // namespace

struct Verifier::Impl {
  Known known;
  SignatureMemory memory;
};

Verifier::Verifier(std::span<const Input> collateral) : impl_{std::make_unique<Impl>()} {
  Question nothing{{}, collateral, {}, {}, {}, {}};
  impl_->known = Appraiser{nothing, {}, impl_->memory}.read();
}
Verifier::~Verifier() = default;
Verifier::Verifier(Verifier&&) noexcept = default;
Verifier& Verifier::operator=(Verifier&&) noexcept = default;

Answer Verifier::appraise(const Question& question) {
  return Appraiser{question, impl_->known, impl_->memory}.run();
}

void Verifier::forget_machines() { impl_->memory.forget_machines(); }

Answer appraise(const Question& question, SignatureMemory& memory) {
  return Appraiser{question, {}, memory}.run();
}

Answer appraise(const Question& question) {
  SignatureMemory memory;
  return appraise(question, memory);
}

}  // namespace tacit::attest
