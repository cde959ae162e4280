// tacit attest: what can vouch for this machine, and the TPM key that a certificate authority must
// certify before clients believe it.
#include <filesystem>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/app.hpp"
#include "cli/attest_options.hpp"
#include "cli/commands.hpp"
#include "cli/terminal.hpp"
#include "core/text.hpp"
#include "store/file.hpp"

namespace tacit::cli {
namespace {

struct Options {
  AttestOptions attest{
      .attester = "auto", .tpm = {}, .tpm_certificate = {}, .tpm_event_log = {}, .tsm_root = {}};
  std::string out;
  std::string credential;
};

constexpr std::size_t kCredentialBytesMax = 4096;

Result<void> write_keys(const attester::TpmAttester& tpm, const std::filesystem::path& folder) {
  TACIT_CHECK(store::make_folders(folder));
  const auto pem = tpm.key().pem();
  TACIT_CHECK(store::write_file_atomically(folder / "attestation-key.pem", as_bytes(pem)));
  TACIT_CHECK(store::write_file_atomically(folder / "attestation-key.tpm", tpm.public_area()));
  int number = 0;
  for (const auto& certificate : tpm.endorsement_certificates())
    TACIT_CHECK(store::write_file_atomically(folder / fmt::format("endorsement-{}.der", number++),
                                             certificate));
  return {};
}

// Answers a certificate authority's challenge, and nothing else.
int activate(const Options& options) {
  const auto credential = store::read_file(options.credential, kCredentialBytesMax);
  if (!credential) return report(credential.error());
  const auto tpm = attester::open_tpm(find_options(options.attest).tpm);
  if (!tpm) return report(tpm.error());
  const auto hidden = (*tpm)->activate(*credential);
  if (!hidden) return report(hidden.error());
  print(to_hex(hidden->reveal()) + "\n");
  return kExitOk;
}

Result<void> show_tpm(const Options& options) {
  TACIT_TRY(const auto tpm, attester::open_tpm(find_options(options.attest).tpm));
  print(fmt::format("TPM 2.0      there; its attestation key is {}\n",
                    tpm->certified() ? "certified" : "not certified: no client believes it yet"));
  print(fmt::format("             {} endorsement certificates of its maker\n",
                    tpm->endorsement_certificates().size()));
  print(tpm->key().pem());
  if (options.out.empty()) return {};
  TACIT_CHECK(write_keys(*tpm, options.out));
  print(fmt::format("Written to   {}\n", options.out));
  return {};
}

int run(const Options& options) {
  if (!options.credential.empty()) return activate(options);
  const auto found = attester::find_attester(find_options(options.attest));
  if (!found && options.attest.attester != "tpm") return report(found.error());
  if (found)
    print(fmt::format("Attester     {}\n",
                      *found ? seal::attester_name((*found)->kind())
                             : "none: nothing here can vouch for this machine to a client"));
  const bool tpm_asked = options.attest.attester == "tpm" || !options.attest.tpm.empty() ||
                         std::filesystem::exists(attester::kTpmDevice);
  if (!tpm_asked) return kExitOk;
  const auto shown = show_tpm(options);
  return shown ? kExitOk : report(shown.error());
}

}  // namespace

void add_attest(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("attest", "Say what can vouch for this machine");
  auto options = std::make_shared<Options>();
  add_attest_options(*command, options->attest);
  command->add_option(
      "--out", options->out,
      "Write the TPM's attestation key and endorsement certificates to this folder");
  command
      ->add_option("--activate", options->credential,
                   "Print what a certificate authority has hidden in this credential")
      ->check(CLI::ExistingFile);
  command->footer(
      "A TPM's quotes count once a certificate authority that clients trust has certified its\n"
      "attestation key: see docs/guide/evidence.md.\n\n"
      "Examples:\n"
      "  tacit attest\n"
      "  tacit attest --attest tpm --out enrol/\n"
      "  tacit attest --attest tpm --activate credential.bin");
  command->callback([&context, options] { context.chosen = [options] { return run(*options); }; });
}

}  // namespace tacit::cli
