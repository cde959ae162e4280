#include "cli/sealed_chat.hpp"

#include <fmt/format.h>

#include "cli/terminal.hpp"

namespace tacit::cli {
namespace {

constexpr Seconds kFirstContact{30};
constexpr std::size_t kFingerprintShown = 23;  // "tacit1:" and 16 digits

connect::ClientOptions client_options(const Environment& environment,
                                      const SealedChatOptions& options,
                                      connect::KnownServers& known) {
  connect::ClientOptions client;
  client.url = options.url;
  client.trust = options.trust;
  client.known = &known;
  client.evidence.emplace();  // hardware is looked at where there is some
  client.http = http_options(environment);
  client.http.limits.read_timeout = Seconds{600};  // a long answer may take its time to begin
  return client;
}

}  // namespace

std::string proof_line(std::string_view url, bool trusted_by_name, const connect::Proof& proof) {
  const std::string_view identity = trusted_by_name   ? "the one you named"
                                    : proof.first_use ? "seen for the first time and pinned"
                                                      : "the one pinned at first use";
  const bool hardware = proof.hardware && proof.attester != seal::Attester::none;
  return fmt::format("Sealed to {}: identity {}... is {}; {}", url,
                     proof.fingerprint.substr(0, kFingerprintShown), identity,
                     hardware ? "its hardware was verified"
                              : "no hardware vouches for it, so whoever runs it can read along");
}

SealedChat::SealedChat(const Environment& environment, SealedChatOptions options,
                       asio::any_io_executor executor)
    : environment_{environment},
      options_{std::move(options)},
      known_{environment.home() / "known_servers"},
      client_{client_options(environment, options_, known_), clock_, log_, std::move(executor)} {}

Async<std::shared_ptr<domain::Backend>> SealedChat::open(bool quiet) {
  TACIT_CO_TRY(auto key, api_key(environment_, options_.key_file));
  TACIT_CO_TRY(const auto proof, co_await client_.appraise(Deadline::after(kFirstContact)));
  if (!quiet) print_error(proof_line(options_.url, !options_.trust.empty(), proof));
  co_return std::make_shared<connect::ChatBackend>(client_, options_.model, std::move(key));
}

}  // namespace tacit::cli
