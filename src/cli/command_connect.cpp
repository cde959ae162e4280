// tacit connect URL: the sealed channel's client, serving a remote server's APIs on loopback.
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "async/signals.hpp"
#include "async/task_group.hpp"
#include "cli/app.hpp"
#include "cli/commands.hpp"
#include "cli/evidence_files.hpp"
#include "cli/evidence_report.hpp"
#include "cli/http_environment.hpp"
#include "cli/log_sink.hpp"
#include "cli/main_loop.hpp"
#include "cli/process_limits.hpp"
#include "cli/terminal.hpp"
#include "connect/forwarder.hpp"
#include "core/text.hpp"
#include "http/server.hpp"

namespace tacit::cli {
namespace {

constexpr Seconds kFirstContact{30};
constexpr Seconds kDrain{10};

struct ConnectOptions {
  std::string url;
  std::uint16_t port = 8081;
  std::string relay;
  std::string trust;
  std::string key_file;
  std::string policy;  // empty: default, and a server without hardware is fine
  std::vector<std::string> collateral;
  std::string pace = "off";
  unsigned frame_bytes = 512;
  bool check = false;
  bool forget = false;
};

// "off", "whole", or a number of milliseconds.
Result<seal::ReplyShape> shape_of(const ConnectOptions& options) {
  seal::ReplyShape shape;
  shape.frame_bits = static_cast<std::uint8_t>(std::countr_zero(options.frame_bytes));
  if (options.pace == "whole") {
    shape.pace_ms = seal::ReplyShape::kWhole;
  } else if (options.pace != "off") {
    const auto ms = parse_u64(options.pace);
    if (!ms || *ms < 1 || *ms > 10'000) {
      return fail(Error{Code::invalid_argument, "this is no pace"}
                      .about(PublicText{options.pace})
                      .fix("Say off, whole, or milliseconds from 1 to 10000"));
    }
    shape.pace_ms = static_cast<std::uint16_t>(*ms);
  }
  return shape;
}

void print_proof(const ConnectOptions& options, const connect::Proof& proof) {
  print_error(fmt::format("Server       {} ({})", options.url, proof.software));
  if (!options.relay.empty()) {
    print_error(fmt::format("Through      {}, which reads nothing of it", options.relay));
  }
  print_error(fmt::format("Identity     {}", proof.fingerprint));
  if (!options.trust.empty()) {
    print_error("             is the one you named with --trust");
  } else if (proof.first_use) {
    print_error(
        "             seen for the first time: pinned from now on. Compare it with what\n"
        "             `tacit serve` prints there; nobody else has vouched for it");
  } else {
    print_error("             is the one pinned at first use");
  }
  if (proof.hardware) {
    print_error(
        evidence_report(*proof.hardware, options.policy.empty() ? "default" : options.policy));
  } else if (proof.attester == seal::Attester::none) {
    print_error(
        "Hardware     none vouches for this machine: whoever runs it can read what it serves");
  } else {
    print_error("Hardware     not looked at, as --policy none says");
  }
  print_error(fmt::format(
      "Channel      X-Wing (ML-KEM-768 + X25519), AES-256-GCM; key valid until {:%H:%M:%S} UTC",
      std::chrono::floor<Seconds>(proof.not_after)));
}

class ConnectProcess {
 public:
  ConnectProcess(const Environment& environment, const ConnectOptions& options)
      : options_{options},
        known_{environment.home() / "known_servers"},
        log_{STDERR_FILENO, LogLevel::warning, LogFormat::text, clock_} {}

  Task<int> run(async::Runtime& runtime, connect::ClientOptions client, SecretText key) {
    client.url = options_.url;
    client.relay = options_.relay;
    client.trust = options_.trust;
    client.known = &known_;
    connect::Client sealed{std::move(client), clock_, log_, runtime.shard(0).io.get_executor()};
    const auto proof = co_await sealed.appraise(Deadline::after(kFirstContact));
    if (!proof) co_return report(proof.error());
    print_proof(options_, *proof);
    if (options_.check) co_return kExitOk;
    co_return co_await serve(runtime.shard(0), sealed, std::move(key));
  }

  connect::KnownServers& known() noexcept { return known_; }

 private:
  Task<int> serve(async::Shard& shard, connect::Client& sealed, SecretText key) {
    const auto executor = shard.io.get_executor();
    async::SignalSet signals{executor, {SIGTERM, SIGINT}};
    connect::ForwarderOptions forwarding;
    forwarding.api_key = std::move(key);
    connect::Forwarder forwarder{sealed, std::move(forwarding)};
    http::Server server{shard,
                        forwarder,
                        log_,
                        std::make_shared<http::Server::Shared>(),
                        {.listen = {.host = "127.0.0.1", .port = options_.port, .unix_path = {}},
                         .tls = nullptr,
                         .limits = {}}};
    if (const auto listening = server.listen(true); !listening) co_return report(listening.error());
    async::TaskGroup tasks{executor};
    tasks.spawn(server.run());
    async::TaskGroup background{executor};
    background.spawn(sealed.keep_fresh());
    background.spawn(sealed.keep_ready());
    print_error(fmt::format("Listening    http://127.0.0.1:{}/v1 - everything sent there is sealed",
                            server.port()));
    (void)co_await signals.next();
    (void)co_await server.drain(Deadline::after(kDrain));
    co_await tasks.join(Deadline::after(kDrain));
    background.cancel();
    co_await background.join(Deadline::after(kDrain));
    co_return kExitOk;
  }

  const ConnectOptions& options_;
  SystemClock clock_;
  connect::KnownServers known_;
  FdLogger log_;
};

connect::ClientOptions client_options(const Environment& environment) {
  connect::ClientOptions client;
  client.http = http_options(environment);
  client.http.limits.read_timeout = Seconds{600};  // a long answer may take its time to begin
  client.http.limits.idle_connections_max = 64;
  return client;
}

// nullopt with --policy none: nothing is asked of the hardware.
Result<std::optional<connect::EvidenceRules>> evidence_rules(const ConnectOptions& options) {
  if (options.policy == "none") return std::optional<connect::EvidenceRules>{};
  connect::EvidenceRules rules;
  rules.required = !options.policy.empty();
  TACIT_TRY(rules.policy, read_policy(rules.required ? options.policy : "default"));
  if (const auto age = rules.policy.evidence_age_max_s)
    rules.age_max = Seconds{std::clamp<std::uint64_t>(*age, 2, 24 * 3600)};
  for (const auto& name : options.collateral)
    TACIT_CHECK(add_evidence_path(name, rules.collateral));
  return rules;
}

int connect_to(Context& context, ConnectOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);
  options.url = server_url(std::move(options.url));
  if (!options.relay.empty()) options.relay = server_url(std::move(options.relay));
  if (const auto home = context.environment.make_home(); !home) return report(home.error());
  ConnectProcess process{context.environment, options};
  if (options.forget) {
    const auto forgotten = process.known().forget(options.url);
    return forgotten ? kExitOk : report(forgotten.error());
  }
  const auto shape = shape_of(options);
  if (!shape) {
    report(shape.error());
    return kExitUsage;
  }
  auto key = api_key(context.environment, options.key_file);
  if (!key) return report(key.error());
  auto client = client_options(context.environment);
  client.shape = *shape;
  auto rules = evidence_rules(options);
  if (!rules) {
    report(rules.error());
    return kExitUsage;
  }
  client.evidence = *std::move(rules);
  (void)lock_memory();  // whether it holds is `tacit doctor`'s to say
  async::Runtime runtime{1};
  return run_main(runtime,
                  [&] { return process.run(runtime, std::move(client), std::move(*key)); });
}

}  // namespace

void add_connect(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("connect", "Use a server through the sealed channel");
  auto options = std::make_shared<ConnectOptions>();
  command->add_option("url", options->url, "Address of the server; https:// if not said")
      ->required();
  command->add_option("--port", options->port, "Port on this machine; 0 picks a free one")
      ->capture_default_str();
  command->add_option("--relay", options->relay,
                      "Relay that carries requests (tacit relay), so that the server does not "
                      "learn where they come from");
  command->add_option(
      "--trust", options->trust,
      "Fingerprint that the server must have (tacit1:...), instead of a pinned one");
  command->add_option("--policy", options->policy,
                      "What the server's hardware must prove: default, strict, development, a TOML "
                      "file; none to look at nothing but its identity");
  command->add_option("--collateral", options->collateral,
                      "Collateral beside what the server brings: files or folders");
  command
      ->add_option("--key-file", options->key_file,
                   "File with the API key (else TACIT_API_KEY, else each request's own key)")
      ->check(CLI::ExistingFile);
  command
      ->add_option("--pace", options->pace,
                   "Hide the rhythm of answers: off, a frame every so many milliseconds, or whole")
      ->capture_default_str();
  command->add_option("--frame-bytes", options->frame_bytes, "Size of every frame of an answer")
      ->check(CLI::IsMember({256u, 512u, 1024u, 2048u, 4096u, 8192u, 16384u, 32768u, 65536u}))
      ->capture_default_str();
  command->add_flag("--check", options->check, "Only verify the server and say what was proved");
  command->add_flag("--forget", options->forget, "Forget the identity pinned for this server");
  command->footer(
      "Applications change their base URL to the address printed, and nothing else. Path, headers, "
      "status,\n"
      "bodies and API key travel sealed: neither the network nor a proxy can read, alter, repeat "
      "or "
      "cut them.\n\n"
      "Examples:\n"
      "  tacit connect https://ai.example.org\n"
      "  tacit connect https://ai.example.org --check\n"
      "  tacit connect https://ai.example.org --relay https://relay.example.net\n"
      "  tacit connect https://ai.example.org --policy policy.toml\n"
      "  tacit connect ai.example.org --pace 50 --key-file ~/ai.key");
  command->callback([&context, options] {
    context.chosen = [&context, options] { return connect_to(context, *options); };
  });
}

}  // namespace tacit::cli
