// tacit verify evidence: appraises attestation evidence offline.
#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "attest/appraise.hpp"
#include "cli/app.hpp"
#include "cli/commands.hpp"
#include "cli/evidence_files.hpp"
#include "cli/http_environment.hpp"
#include "cli/main_loop.hpp"
#include "cli/terminal.hpp"
#include "connect/evidence.hpp"
#include "core/text.hpp"
#include "crypto/random.hpp"
#include "seal/sealed.hpp"
#include "store/file.hpp"

namespace tacit::cli {
namespace {

struct Options {
  std::vector<std::string> evidence;
  std::vector<std::string> collateral;
  std::string policy = "default";
  std::string nonce;
  std::string report_data;
  std::string at;
  std::string save;
  bool json = false;
};

constexpr Seconds kFetchTimeout{60};

Error wrong_usage(Literal what, const std::string& about, Literal how) {
  return Error{Code::invalid_argument, what}.about(PublicText{about}).fix(how);
}

Result<std::optional<Bytes>> read_hex(const std::string& text, std::size_t bytes_max) {
  if (text.empty()) return std::optional<Bytes>{};
  auto bytes = from_hex(text);
  if (!bytes || bytes->empty() || bytes->size() > bytes_max)
    return fail(wrong_usage("not hexadecimal, or too long", "--nonce or --report-data",
                            "give at most 64 bytes as hexadecimal digits"));
  return bytes;
}

Result<attest::UnixTime> read_time(const std::string& text) {
  if (text.empty()) return std::chrono::floor<Seconds>(SystemClock{}.wall());
  return attest::parse_time(text);
}

int usage(const Error& error) {
  report(error);
  return kExitUsage;
}

bool is_url(const std::string& name) {
  return name.starts_with("https://") || name.starts_with("http://");
}

// What is asked beside the evidence itself.
struct Terms {
  std::vector<attest::Input> collateral;
  attest::Policy policy;
  std::optional<Bytes> nonce;
  std::optional<Bytes> report_data;
  attest::UnixTime now;
};

Result<Terms> read_terms(const Options& options) {
  Terms out;
  for (const auto& name : options.collateral) TACIT_CHECK(add_evidence_path(name, out.collateral));
  TACIT_TRY(out.policy, read_policy(options.policy));
  TACIT_TRY(out.nonce, read_hex(options.nonce, 64));
  TACIT_TRY(out.report_data, read_hex(options.report_data, 64));
  TACIT_TRY(out.now, read_time(options.at));
  return out;
}

int conclude(const Options& options, const attest::Answer& answer) {
  print(options.json ? attest::render_json(answer) : attest::render_text(answer));
  switch (answer.verdict) {
    case attest::Verdict::accept: return kExitOk;
    case attest::Verdict::cannot_tell: return kExitCannotTell;
    case attest::Verdict::reject: break;
  }
  return kExitFailure;
}

// A server's evidence document. Without a nonce of ours it proves nothing about today.
int run_document(const Options& options, const Terms& terms, BytesView document, bool fresh) {
  auto nonce = seal::evidence_nonce(document);
  if (!nonce) return usage(nonce.error());
  if (terms.nonce && terms.nonce->size() == nonce->size())
    std::ranges::copy(*terms.nonce, nonce->begin());
  const auto evidence = seal::open_evidence(document, *nonce);
  if (!evidence) {
    report(evidence.error());
    return kExitFailure;
  }
  attest::SignatureMemory memory;
  auto answer = connect::appraise_evidence(
      *evidence, *nonce, {.policy = terms.policy, .required = true, .collateral = terms.collateral},
      terms.now, memory);
  if (!fresh && !terms.nonce) {
    if (terms.policy.require_nonce) {
      answer.reasons.push_back({attest::Verdict::cannot_tell, "freshness",
                                "the nonce that was asked with (--nonce)", "none was given"});
      answer.verdict = std::max(answer.verdict, attest::Verdict::cannot_tell);
    } else if (!answer.pieces.empty()) {
      answer.pieces.front().warn("freshness-unknown",
                                 "Nothing was given to compare with: this evidence may be old.");
    }
  }
  if (!options.json)
    print(fmt::format("Server    {}, identity {}\n          its key is used from {} to {}\n\n",
                      attest::printable(evidence->statement.software),
                      evidence->statement.identity.fingerprint(),
                      attest::format_time(floor<Seconds>(evidence->statement.not_before)),
                      attest::format_time(floor<Seconds>(evidence->statement.not_after))));
  return conclude(options, answer);
}

Task<int> fetch_and_run(const Environment& environment, const Options& options,
                        const Terms& terms) {
  http::Client client{http_options(environment)};
  seal::EvidenceNonce nonce{};
  crypto::random_bytes(nonce);
  if (terms.nonce) {
    if (terms.nonce->size() != nonce.size())
      co_return usage(wrong_usage("this is no nonce for a server", "--nonce",
                                  "give 32 bytes as hexadecimal digits"));
    std::ranges::copy(*terms.nonce, nonce.begin());
  }
  auto url = options.evidence.front();
  while (url.ends_with('/')) url.pop_back();
  url += seal::kEvidencePath;
  const auto document =
      co_await connect::fetch_evidence(client, url, nonce, Deadline::after(kFetchTimeout));
  if (!document) co_return report(document.error());
  if (!options.save.empty())
    if (const auto saved = store::write_file_atomically(options.save, *document); !saved)
      co_return report(saved.error());
  if (const auto fresh = connect::check_nonce(*document, nonce); !fresh)
    co_return report(fresh.error());
  co_return run_document(options, terms, *document, true);
}

// The one file named, when it is a server's evidence document.
std::optional<Bytes> saved_document(const Options& options) {
  if (options.evidence.size() != 1) return std::nullopt;
  auto bytes = store::read_file(options.evidence.front(), seal::kEvidenceDocumentBytesMax);
  if (!bytes || !seal::evidence_nonce(*bytes)) return std::nullopt;
  return *std::move(bytes);
}

int run(const Environment& environment, const Options& options) {
  auto terms = read_terms(options);
  if (!terms) return usage(terms.error());
  if (options.evidence.size() == 1 && is_url(options.evidence.front())) {
    async::Runtime runtime{1};
    return run_main(runtime, [&] { return fetch_and_run(environment, options, *terms); });
  }
  if (const auto document = saved_document(options))
    return run_document(options, *terms, *document, false);
  std::vector<attest::Input> evidence;
  for (const auto& name : options.evidence)
    if (const auto added = add_evidence_path(name, evidence); !added) return usage(added.error());
  return conclude(options, attest::appraise({evidence, terms->collateral, terms->policy, terms->now,
                                             terms->nonce, terms->report_data}));
}

}  // namespace

void add_verify(CLI::App& app, Context& context) {
  auto* verify =
      app.add_subcommand("verify", "Check the models in the store, or proofs; no network");
  add_verify_models(*verify, context);
  verify->footer(
      "Models are hashed again; a file is looked into for what loading it would do (pickles, zips "
      "of\n"
      "them, NumPy, safetensors, GGUF, chat templates).\n"
      "Exit codes: 0 all good, 1 something differs or is dangerous, 3 cannot tell.\n"
      "Examples:\n"
      "  tacit verify                       # hash everything again\n"
      "  tacit verify smollm2\n"
      "  tacit verify ./pytorch_model.bin\n"
      "  tacit verify evidence quote.bin --policy strict");
  auto* command = verify->add_subcommand("evidence", "Appraise attestation evidence of a machine");
  auto options = std::make_shared<Options>();
  command
      ->add_option("FILE", options->evidence, "Evidence, folders of it, or the address of a server")
      ->required();
  command
      ->add_option(
          "--collateral", options->collateral,
          "Certificates, revocation lists, TCB info, RIMs: a file or folder, again for more")
      ->allow_extra_args(false);  // what follows its value is evidence
  command->add_option("--policy", options->policy,
                      "default, strict, development, or a TOML file (default: default)");
  command->add_option("--nonce", options->nonce, "The evidence must carry it (hexadecimal)");
  command->add_option("--report-data", options->report_data,
                      "The evidence must be bound to it (hexadecimal)");
  command->add_option("--at", options->at, "Judge as of this time, such as 2026-03-01T12:00:00Z");
  command->add_option("--save", options->save, "Keep the server's evidence in this file");
  command->add_flag("--json", options->json, "As JSON");
  command->footer(
      "Exit codes: 0 accept, 1 reject, 2 wrong usage, 3 cannot tell (something is missing).\n"
      "Examples:\n"
      "  tacit verify evidence quote.bin --collateral collateral.json\n"
      "  tacit verify evidence report.bin --collateral vcek.der --policy strict --nonce 5f...\n"
      "  tacit verify evidence https://ai.example.org --policy policy.toml --save today.evidence");
  command->callback([&context, options] {
    context.chosen = [&context, options] { return run(context.environment, *options); };
  });
}

}  // namespace tacit::cli
