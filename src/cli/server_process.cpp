#include "cli/server_process.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include "async/signals.hpp"
#include "async/task_group.hpp"
#include "async/wait.hpp"
#include "cli/app.hpp"
#include "cli/log_sink.hpp"
#include "cli/main_loop.hpp"
#include "cli/models.hpp"
#include "cli/process_limits.hpp"
#include "core/text.hpp"
#include "gateway/gateway.hpp"
#include "gateway/keys.hpp"
#include "gateway/metrics.hpp"
#include "gateway/model_pool.hpp"
#include "gateway/sealed_front.hpp"
#include "gateway/sealed_service.hpp"
#include "registry/local_file.hpp"
#include "store/file.hpp"

namespace tacit::cli {
namespace {

constexpr Seconds kKeyRefresh{1};
constexpr std::size_t kSealedOverheadBytes = 128 * 1024;
constexpr std::size_t kOwnDescriptors = 512;  // beside those of clients

// What one shard runs. Made on shard 0 before it serves, used on its own shard, destroyed when all
// event loops have ended.
struct ShardFront {
  ShardFront(async::Shard& s, gateway::GatewayParts parts, gateway::GatewayOptions options,
             gateway::SealedService& service, gateway::SealedFrontOptions sealing)
      : shard{s},
        gateway{parts, std::move(options)},
        sealed{gateway, service, parts.keys, sealing},
        tasks{s.io.get_executor()} {}
  async::Shard& shard;
  gateway::Gateway gateway;
  gateway::SealedFront sealed;
  std::vector<std::unique_ptr<http::Server>> servers;
  async::TaskGroup tasks;
};

class ServerProcess {
 public:
  ServerProcess(const Environment& environment, const ServeOptions& options)
      : environment_{environment},
        options_{options},
        log_{STDERR_FILENO, options.log_level, options.log_format, clock_},
        runtime_{options.io_threads} {}

  int run() {
    ::signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit(options_.limits.connections_max + kOwnDescriptors);
    return run_main(runtime_, [this] { return main(); });
  }

 private:
  Task<int> main() {
    async::SignalSet signals{runtime_.shard(0).io.get_executor(), {SIGTERM, SIGINT}};
    async::TaskGroup background{runtime_.shard(0).io.get_executor()};
    async::TaskGroup starting{runtime_.shard(0).io.get_executor()};
    starting.spawn(leave_on_signal(signals));  // a pull may take minutes, and nobody is served yet
    const auto started = co_await start(background);
    starting.cancel();
    co_await starting.join(Deadline::after(Seconds{5}));
    int status = kExitOk;
    if (started) {
      const auto signal = co_await signals.next();
      log_.info("server.draining",
                {{"signal", signal.value_or(0)}, {"timeout_s", options_.drain_timeout.count()}});
      background.spawn(exit_on_signal(signals));  // asked twice: at once
      co_await stop(Deadline::after(options_.drain_timeout));
    } else {
      status = report(started.error());
    }
    if (pool_) co_await pool_->shut_down(Deadline::after(Seconds{5}));
    background.cancel();
    co_await background.join(Deadline::after(Seconds{5}));
    if (started) log_.info("server.stopped");
    co_return status;
  }

  // What is half done survives (a pull resumes, the database is transactional); the worker dies
  // with us.
  static Task<> leave_on_signal(async::SignalSet& signals) {
    if (const auto signal = co_await signals.next()) {
      ::_exit(*signal == SIGINT ? kExitInterrupted : kExitOk);
    }
  }

  static Task<> exit_on_signal(async::SignalSet& signals) {
    if (co_await signals.next()) ::_exit(kExitInterrupted);
  }

  Async<void> start(async::TaskGroup& background) {
    TACIT_CO_CHECK(check_exposure(options_));
    TACIT_CO_CHECK(environment_.make_home());
    if (!options_.no_auth) TACIT_CO_CHECK(open_keys());
    if (!options_.tls_certificate.empty()) {
      TACIT_CO_TRY(tls_,
                   async::TlsServerContext::from_files(options_.tls_certificate, options_.tls_key));
    }
    TACIT_CO_TRY(attester_, attester::find_attester(find_options(options_.attest)));
    if (!attester_ && options_.attest.attester == "auto")
      log_.warning("server.nothing_attests");  // `tacit attest --attest KIND` says why
    TACIT_CO_CHECK(co_await open_models());
    if (attester_) TACIT_CO_CHECK(open_evidence());
    TACIT_CO_TRY(sealed_, gateway::SealedService::open({.identity_file = environment_.identity(),
                                                        .key_life = options_.sealed_key_life,
                                                        .software = "tacit " TACIT_VERSION,
                                                        .replay = {},
                                                        .ohttp = options_.ohttp,
                                                        .ehbp = options_.ehbp,
                                                        .source = evidence_.get()},
                                                       clock_, log_));
    TACIT_CO_CHECK(listen());  // a taken port is known before a model is loaded
    background.spawn(pool_->housekeeping());
    background.spawn(sealed_->rotate_forever());
    if (keys_) background.spawn(refresh_keys());
    TACIT_CO_CHECK(co_await load_models());
    for (auto& front : fronts_) serve(*front);
    announce();
    co_return Result<void>{};
  }

  Result<void> open_keys() {
    TACIT_TRY(keys_, gateway::KeyStore::open(environment_.database(), clock_));
    TACIT_TRY(const auto records, keys_->list());
    for (const auto& record : records) {
      if (!record.revoked_unix_s) return {};
    }
    TACIT_TRY(const auto created, keys_->create("default"));
    print_error(fmt::format("API key {} (shown this once; more with `tacit key create`):\n{}",
                            created.record.id, created.key.reveal()));
    return {};
  }

  Async<void> open_models() {
    auto opened = open_registry(environment_, log_);
    if (!opened) co_return fail(std::move(opened).error());
    registry_ = std::move(*opened);
    gateway::ModelPoolOptions pool;
    TACIT_CO_TRY(pool.program, Environment::program());
    pool.context_tokens = options_.context;
    pool.sequences_max = options_.parallel;
    pool.threads = options_.threads;
    pool.kv_type = options_.kv_type;
    for (const auto& model : options_.models) {
      if (is_model_path(model)) {
        pool.local_files.emplace_back(model);
        preload_.push_back(pool.local_files.back().stem().string());
      } else {
        const auto style = progress_style(false, false);
        auto name = co_await ensure_installed(*registry_, model, style);
        if (!name) co_return fail(std::move(name).error());
        preload_.push_back(std::move(*name));
      }
    }
    if (attester_) {
      TACIT_CO_TRY(pool.promised, promise_models(pool.local_files));
    }
    pool_ = std::make_unique<gateway::ModelPool>(runtime_, *registry_, log_, std::move(pool));
    co_return Result<void>{};
  }

  // A server that is vouched for says which models it serves, and serves no others: those that were
  // named, else those that are installed now.
  Result<std::map<std::string, std::string, std::less<>>> promise_models(
      const std::vector<std::filesystem::path>& local_files) {
    std::map<std::string, std::string, std::less<>> out;
    for (const auto& path : local_files) {
      TACIT_TRY(const auto opened, registry::open_local_file(path));
      out[path.stem().string()] = opened.model.weights.hex();
    }
    for (const auto& model : registry_->installed()) {
      const bool named = std::ranges::find(preload_, model.name) != preload_.end();
      if (options_.models.empty() || named) out.emplace(model.name, model.weights.hex());
    }
    for (const auto& [name, hex] : out) {
      attest::ServedModel model{name, {}};
      std::ranges::copy(from_hex(hex).value(), model.sha256.begin());
      models_.push_back(std::move(model));
    }
    return out;
  }

  Result<void> open_evidence() {
    attester::BundleMakerOptions bundle{options_.attest_collateral, {}, std::move(models_)};
    if (!options_.attest_policy.empty()) {
      TACIT_TRY(const auto text,
                store::read_file(options_.attest_policy, attest::kOperatorPolicyBytesMax));
      bundle.policy = as_text(text);
    }
    evidence_ = std::make_unique<HardwareEvidence>(std::move(attester_), std::move(bundle));
    // Whatever is wrong is known now, and not when the first client asks.
    TACIT_TRY(const auto first, evidence_->bundle({}, {}));
    log_.info("server.attested",
              {{"attester", PublicText{std::string{seal::attester_name(evidence_->attester())}}},
               {"bytes", first.size()}});
    return {};
  }

  Result<void> listen() {
    for (std::size_t i = 0; i < runtime_.size(); ++i) {
      gateway::GatewayParts parts{
          .models = pool_->provider(i),
          .keys = keys_.get(),
          .metrics = metrics_,
          .shard_index = i,
          .clock = clock_,
          .log = log_,
          .gauges = [this] { return pool_->gauges(); },
          .open_connections = [this] { return shared_->connections.load(); },
          .cache_salts = &cache_salts_};
      const gateway::SealedFrontOptions sealing{.body_bytes_max = options_.limits.body_bytes_max,
                                                .sealed_only = options_.sealed_only};
      gateway::GatewayOptions gateway{.body_bytes_max = options_.limits.body_bytes_max,
                                      .require_key = !options_.no_auth,
                                      .version = TACIT_VERSION,
                                      .weights = options_.weights};
      fronts_.push_back(std::make_unique<ShardFront>(runtime_.shard(i), std::move(parts),
                                                     std::move(gateway), *sealed_, sealing));
      if (options_.tcp) {
        const auto port = i == 0 ? options_.port : port_;
        TACIT_CHECK(
            add_server(*fronts_[i], {.host = options_.host, .port = port, .unix_path = {}}, tls_));
        if (i == 0) port_ = fronts_[0]->servers[0]->port();
      }
      if (i == 0 && !options_.unix_path.empty()) {
        TACIT_CHECK(add_server(*fronts_[0],
                               {.host = {}, .port = 0, .unix_path = options_.unix_path}, nullptr));
      }
    }
    return {};
  }

  Result<void> add_server(ShardFront& front, const async::Endpoint& endpoint,
                          const std::shared_ptr<async::TlsServerContext>& tls) {
    const bool first = front.shard.index == 0;
    auto limits = options_.limits;
    // A sealed request is padded; the gateway bounds what is inside.
    limits.body_bytes_max += limits.body_bytes_max / 8 + kSealedOverheadBytes;
    front.servers.push_back(std::make_unique<http::Server>(
        front.shard, front.sealed, log_, shared_,
        http::ServerOptions{.listen = endpoint, .tls = tls, .limits = limits}));
    return front.servers.back()->listen(first);
  }

  Async<void> load_models() {
    for (const auto& name : preload_) {
      const auto backend = co_await pool_->provider(0).acquire(name, Deadline::never());
      if (!backend) co_return fail(backend.error());
    }
    co_return Result<void>{};
  }

  static void serve(ShardFront& front) {
    asio::post(front.shard.io, [&front] {
      for (auto& server : front.servers) front.tasks.spawn(server->run());
    });
  }

  void announce() {
    if (options_.tcp) {
      const bool v6 = options_.host.find(':') != std::string::npos;
      const auto url = fmt::format("{}://{}{}{}:{}", tls_ ? "https" : "http", v6 ? "[" : "",
                                   options_.host, v6 ? "]" : "", port_);
      log_.info(
          "server.listening",
          {{"url", PublicText{url}}, {"auth", !options_.no_auth}, {"shards", runtime_.size()}});
    }
    log_.info("server.identity", {{"fingerprint", PublicText{sealed_->fingerprint()}}});
    if (!options_.unix_path.empty()) {
      log_.info("server.listening",
                {{"url", PublicText{"unix:" + options_.unix_path}}, {"auth", !options_.no_auth}});
    }
  }

  Task<> refresh_keys() {
    while (co_await async::sleep_for(kKeyRefresh)) {
      if (const auto refreshed = keys_->refresh(); !refreshed) {
        log_.warning("keys.refresh_failed", {{"code", refreshed.error().code()}});
      }
    }
  }

  // Drains one shard, on that shard.
  static Task<std::size_t> stop_front(ShardFront& front, Deadline deadline) {
    std::size_t cancelled = 0;
    for (auto& server : front.servers) cancelled += co_await server->drain(deadline);
    co_await front.tasks.join(Deadline::after(Seconds{5}));
    co_return cancelled;
  }

  // A function and not a lambda: a coroutine that captures must not outlive its lambda object.
  static Task<> drain_front(ShardFront& front, Deadline deadline, std::size_t& cancelled) {
    cancelled +=
        co_await asio::co_spawn(front.shard.io, stop_front(front, deadline), asio::use_awaitable);
  }

  // All shards drain at the same time: the others in the background, shard 0 here.
  Task<> stop(Deadline deadline) {
    async::TaskGroup others{runtime_.shard(0).io.get_executor()};
    std::size_t cancelled = 0;
    for (auto& front : fronts_) {
      others.spawn(drain_front(*front, deadline, cancelled));
    }
    co_await others.join(Deadline::never());  // each drain is bounded by `deadline`
    if (cancelled > 0) log_.warning("server.drain_cut", {{"requests", cancelled}});
  }

  const Environment& environment_;
  const ServeOptions& options_;
  SystemClock clock_;
  FdLogger log_;
  async::Runtime runtime_;
  gateway::Metrics metrics_{runtime_.size()};
  gateway::CacheSalts cache_salts_;
  std::shared_ptr<http::Server::Shared> shared_ = std::make_shared<http::Server::Shared>();
  std::shared_ptr<async::TlsServerContext> tls_;
  std::unique_ptr<gateway::KeyStore> keys_;
  attester::AttesterPtr attester_;  // until it is evidence_'s
  std::vector<attest::ServedModel> models_;
  std::unique_ptr<HardwareEvidence> evidence_;
  std::unique_ptr<gateway::SealedService> sealed_;
  std::unique_ptr<registry::Registry> registry_;
  std::unique_ptr<gateway::ModelPool> pool_;
  std::vector<std::string> preload_;
  std::vector<std::unique_ptr<ShardFront>> fronts_;
  std::uint16_t port_ = 0;
};

}  // namespace

bool is_loopback_host(std::string_view host) {
  if (host == "localhost") return true;
  boost::system::error_code ec;
  const auto address = asio::ip::make_address(std::string{host}, ec);
  return !ec && address.is_loopback();
}

Result<void> check_exposure(const ServeOptions& options) {
  if (options.tls_certificate.empty() != options.tls_key.empty()) {
    return fail(Error{Code::invalid_argument, "TLS needs both a certificate and a key"}.fix(
        "Give --tls-cert and --tls-key"));
  }
  if (!options.tcp || is_loopback_host(options.host)) return {};
  if (options.tls_certificate.empty() && !options.insecure_plain_http) {
    return fail(Error{Code::forbidden, "refusing to serve plain HTTP beyond this machine"}
                    .about(PublicText{options.host})
                    .fix("Give --tls-cert and --tls-key, or say --insecure-plain-http if another "
                         "program adds TLS"));
  }
  return {};
}

int run_server(const Environment& environment, const ServeOptions& options) {
  // Whether it holds is `tacit doctor`'s to say.
  (void)lock_memory();
  if (const auto enough = need_descriptors(options.io_threads); !enough) {
    return report(enough.error());
  }
  ServerProcess process{environment, options};
  return process.run();
}

}  // namespace tacit::cli
