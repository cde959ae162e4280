// tacit relay URL...: an Oblivious HTTP relay. It carries what it cannot read.
#include <signal.h>
#include <unistd.h>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "async/signals.hpp"
#include "async/task_group.hpp"
#include "async/wait.hpp"
#include "cli/app.hpp"
#include "cli/commands.hpp"
#include "cli/log_sink.hpp"
#include "cli/main_loop.hpp"
#include "cli/process_limits.hpp"
#include "cli/server_process.hpp"
#include "cli/terminal.hpp"
#include "core/text.hpp"
#include "http/server.hpp"
#include "relay/relay.hpp"

namespace tacit::cli {
namespace {

constexpr Seconds kCountsEvery{60};
constexpr std::size_t kOwnDescriptors = 64;
constexpr std::uint64_t kBatchMax = 1000;
constexpr std::uint64_t kBatchWaitMax = 60'000;

struct Options {
  std::vector<std::string> urls;
  ServeOptions listen;  // of it: where, TLS, limits, logs
  double rate = 10;
  double total_rate = 0;
  std::string batch;
  std::string log_level = "info";
  std::string log_format = "text";
};

// "16/200": 16 requests or 200 ms.
Result<relay::BatchOptions> batch_of(std::string_view text) {
  const auto slash = text.find('/');
  const auto requests = parse_u64(text.substr(0, slash));
  const auto wait =
      slash == std::string_view::npos ? std::nullopt : parse_u64(text.substr(slash + 1));
  if (!requests || *requests < 2 || *requests > kBatchMax || !wait || *wait < 1 ||
      *wait > kBatchWaitMax) {
    return fail(Error{Code::invalid_argument, "this is no batch"}
                    .about(PublicText{std::string{text}})
                    .fix("Say N/MS: from 2 to 1000 requests, from 1 to 60000 ms"));
  }
  return relay::BatchOptions{static_cast<std::size_t>(*requests),
                             Milliseconds{static_cast<std::int64_t>(*wait)}};
}

// Two seconds' worth may come at once.
relay::Rate rate_of(double per_s) { return {.per_s = per_s, .burst = 2 * per_s}; }

http::ClientOptions client_options(const Environment& environment) {
  http::ClientOptions client;
  client.https_proxy = environment.variable("https_proxy")
                           .value_or(environment.variable("HTTPS_PROXY").value_or(""));
  client.no_proxy =
      environment.variable("no_proxy").value_or(environment.variable("NO_PROXY").value_or(""));
  client.limits.redirects_max = 0;
  client.limits.read_timeout = Seconds{600};  // an answer may take its time to begin
  client.limits.idle_connections_max = 256;
  return client;
}

class RelayProcess {
 public:
  RelayProcess(const Environment& environment, const Options& options,
               std::vector<relay::Target> targets, std::optional<relay::BatchOptions> batching)
      : options_{options},
        targets_{std::move(targets)},
        batching_{batching},
        log_{STDERR_FILENO, options.listen.log_level, options.listen.log_format, clock_},
        client_{client_options(environment)},
        limiter_{{.client = rate_of(options.rate), .total = rate_of(options.total_rate)}} {}

  Task<int> run(async::Runtime& runtime) {
    auto& shard = runtime.shard(0);
    const auto executor = shard.io.get_executor();
    async::SignalSet signals{executor, {SIGTERM, SIGINT}};
    if (batching_) batch_.emplace(*batching_, executor);
    relay::Relay relay{
        {targets_, kBatchedBytesMax}, client_, limiter_, batch_ ? &*batch_ : nullptr};
    std::shared_ptr<async::TlsServerContext> tls;
    if (!options_.listen.tls_certificate.empty()) {
      auto made = async::TlsServerContext::from_files(options_.listen.tls_certificate,
                                                      options_.listen.tls_key);
      if (!made) co_return report(made.error());
      tls = *std::move(made);
    }
    http::Server server{
        shard,
        relay,
        log_,
        std::make_shared<http::Server::Shared>(),
        {.listen = {.host = options_.listen.host, .port = options_.listen.port, .unix_path = {}},
         .tls = tls,
         .limits = options_.listen.limits}};
    if (const auto listening = server.listen(true); !listening) co_return report(listening.error());
    async::TaskGroup tasks{executor};
    tasks.spawn(server.run());
    async::TaskGroup background{executor};
    background.spawn(keep_counts(relay));
    announce(server.port(), tls != nullptr);
    (void)co_await signals.next();
    (void)co_await server.drain(Deadline::after(options_.listen.drain_timeout));
    co_await tasks.join(Deadline::after(Seconds{5}));
    background.cancel();
    co_await background.join(Deadline::after(Seconds{5}));
    log_counts(relay);
    co_return kExitOk;
  }

 private:
  static constexpr std::size_t kBatchedBytesMax = 1024 * 1024;

  void announce(std::uint16_t port, bool tls) {
    const bool v6 = options_.listen.host.find(':') != std::string::npos;
    const auto base = fmt::format("{}://{}{}{}:{}", tls ? "https" : "http", v6 ? "[" : "",
                                  options_.listen.host, v6 ? "]" : "", port);
    for (const auto& target : targets_) {
      log_.info("relay.listening",
                {{"url", PublicText{base + target.path}}, {"target", PublicText{target.url}}});
    }
  }

  // Numbers only: who asked is nobody's business.
  void log_counts(const relay::Relay& relay) {
    const auto& counts = relay.counts();
    log_.info("relay.counts", {{"forwarded", counts.forwarded},
                               {"limited", counts.limited},
                               {"refused", counts.refused},
                               {"failed", counts.failed}});
  }
  Task<> keep_counts(const relay::Relay& relay) {
    while (co_await async::sleep_for(kCountsEvery)) log_counts(relay);
  }

  const Options& options_;
  const std::vector<relay::Target> targets_;
  const std::optional<relay::BatchOptions> batching_;
  SystemClock clock_;
  FdLogger log_;
  http::Client client_;
  relay::RateLimiter limiter_;
  std::optional<relay::Batch> batch_;
};

int relay_to(Context& context, Options& options) {
  ::signal(SIGPIPE, SIG_IGN);
  if (const auto level = parse_log_level(options.log_level)) options.listen.log_level = *level;
  options.listen.log_format = options.log_format == "json" ? LogFormat::json : LogFormat::text;
  auto targets = relay::make_targets(options.urls);
  std::optional<relay::BatchOptions> batching;
  if (!options.batch.empty()) {
    const auto batch = batch_of(options.batch);
    if (!batch) {
      report(batch.error());
      return kExitUsage;
    }
    batching = *batch;
  }
  if (!targets) {
    report(targets.error());
    return kExitUsage;
  }
  if (const auto allowed = check_exposure(options.listen); !allowed) return report(allowed.error());
  raise_descriptor_limit(2 * options.listen.limits.connections_max + kOwnDescriptors);
  async::Runtime runtime{1};
  RelayProcess process{context.environment, options, *std::move(targets), batching};
  return run_main(runtime, [&] { return process.run(runtime); });
}

void add_options(CLI::App& command, Options& options) {
  command.add_option("urls", options.urls, "Servers that requests may go to")->required();
  command.add_option("--host", options.listen.host, "Address to listen on")->capture_default_str();
  command.add_option("--port", options.listen.port, "Port; 0 picks a free one")
      ->capture_default_str();
  command.add_option("--tls-cert", options.listen.tls_certificate, "Certificate chain, PEM")
      ->check(CLI::ExistingFile);
  command.add_option("--tls-key", options.listen.tls_key, "Private key, PEM")
      ->check(CLI::ExistingFile);
  command.add_flag("--insecure-plain-http", options.listen.insecure_plain_http,
                   "Allow plain HTTP beyond this machine");
  command.add_option("--rate", options.rate, "Requests a second of one client; 0: no limit")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  command
      .add_option("--total-rate", options.total_rate,
                  "Requests a second of all clients together; 0: no limit")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  command.add_option("--batch", options.batch,
                     "N/MS: hold requests until N are there, or MS milliseconds, and shuffle them");
  auto& limits = options.listen.limits;
  command.add_option("--max-body-bytes", limits.body_bytes_max, "Request body")
      ->check(CLI::Range(1024u, 1024u * 1024u * 1024u))
      ->capture_default_str();
  command.add_option("--max-connections", limits.connections_max, "Open connections")
      ->check(CLI::Range(1u, 1'000'000u))
      ->capture_default_str();
  command.add_option("--log-level", options.log_level, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
  command.add_option("--log-format", options.log_format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
}

}  // namespace

void add_relay(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("relay", "Carry sealed requests to servers, unread");
  auto options = std::make_shared<Options>();
  options->listen.port = 8082;
  add_options(*command, *options);
  command->footer(
      "An Oblivious HTTP relay (RFC 9458): the server does not learn who asks, the relay not what. "
      "It\n"
      "carries sealed requests (tacit connect --relay) and Oblivious HTTP, plain and chunked; with "
      "one\n"
      "server at its root, with several at /HOST each. It logs numbers, and no address.\n\n"
      "Whoever runs both the relay and the server knows who asked what: they belong in two "
      "hands.\n\n"
      "Examples:\n"
      "  tacit relay https://ai.example.org --host 0.0.0.0 --tls-cert chain.pem --tls-key key.pem\n"
      "  tacit relay https://ai.example.org --batch 16/200 --rate 2\n"
      "  tacit connect https://ai.example.org --relay https://relay.example.net");
  command->callback([&context, options] {
    context.chosen = [&context, options] { return relay_to(context, *options); };
  });
}

}  // namespace tacit::cli
