// tacit serve: options of the server.
#include <CLI/CLI.hpp>

#include "cli/app.hpp"
#include "cli/commands.hpp"
#include "cli/log_sink.hpp"
#include "cli/server_process.hpp"
#include "cli/terminal.hpp"
#include "core/text.hpp"

namespace tacit::cli {
namespace {

struct Options {
  ServeOptions serve;
  std::string log_level = "info";
  std::string log_format = "text";
  unsigned drain_timeout_s = 30;
};

// A limit in seconds, with its default shown.
void add_seconds(CLI::App& command, const char* flag, Seconds& value, const char* help) {
  const auto initial = std::to_string(value.count());
  command
      .add_option_function<unsigned>(
          flag, [&value](const unsigned& seconds) { value = Seconds{seconds}; }, help)
      ->check(CLI::Range(1u, 86'400u))
      ->default_str(initial)
      ->group("Limits");
}

void add_limits(CLI::App& command, http::ServerLimits& limits) {
  command.add_option("--max-connections", limits.connections_max, "Open connections")
      ->check(CLI::Range(1u, 10'000'000u))
      ->capture_default_str()
      ->group("Limits");
  command.add_option("--max-head-bytes", limits.head_bytes_max, "Request line and headers")
      ->check(CLI::Range(1024u, 1024u * 1024u))
      ->capture_default_str()
      ->group("Limits");
  command.add_option("--max-headers", limits.headers_max, "Header fields of a request")
      ->check(CLI::Range(8u, 10'000u))
      ->capture_default_str()
      ->group("Limits");
  command.add_option("--max-body-bytes", limits.body_bytes_max, "Request body")
      ->check(CLI::Range(1024u, 1024u * 1024u * 1024u))
      ->capture_default_str()
      ->group("Limits");
  add_seconds(command, "--idle-timeout", limits.idle_timeout,
              "Seconds a connection may idle between requests");
  add_seconds(command, "--head-timeout", limits.head_timeout, "Seconds a request's head may take");
  add_seconds(command, "--body-timeout", limits.body_timeout,
              "Seconds between two pieces of a body");
  add_seconds(command, "--write-timeout", limits.write_timeout,
              "Seconds a client may stall before it is dropped");
  add_seconds(command, "--request-timeout", limits.exchange_timeout,
              "Seconds a request may take in all");
}

void add_weight(ServeOptions& options, std::string_view given) {
  const auto equals = given.find('=');
  const auto weight =
      equals == std::string_view::npos ? std::nullopt : parse_u64(given.substr(equals + 1));
  if (equals == 0 || !weight || *weight == 0 || *weight > 1000)
    throw CLI::ValidationError("--tenant-weight", "give KEY_ID=N with N from 1 to 1000");
  options.weights[std::string{given.substr(0, equals)}] = static_cast<std::uint32_t>(*weight);
}

int serve(Context& context, Options& options, bool tcp_named) {
  const auto level = parse_log_level(options.log_level);
  if (level) options.serve.log_level = *level;
  options.serve.log_format = options.log_format == "json" ? LogFormat::json : LogFormat::text;
  options.serve.drain_timeout = Seconds{options.drain_timeout_s};
  options.serve.tcp = options.serve.unix_path.empty() || tcp_named;
  return run_server(context.environment, options.serve);
}

}  // namespace

void add_kv_type(CLI::App& command, engine::KvType& type) {
  static const std::map<std::string, engine::KvType> kTypes{
      {"f16", engine::KvType::f16}, {"q8_0", engine::KvType::q8_0}, {"q4_0", engine::KvType::q4_0}};
  command
      .add_option_function<std::string>(
          "--kv-type", [&type](const std::string& name) { type = kTypes.at(name); },
          "How the cache is stored: f16, or q8_0 and q4_0 for about half and a quarter of its "
          "memory")
      ->check(CLI::IsMember({"f16", "q8_0", "q4_0"}))
      ->default_str("f16");
}

void add_serve(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("serve", "Serve the APIs of OpenAI, Anthropic and Ollama");
  auto options = std::make_shared<Options>();
  auto& serve_options = options->serve;
  auto* host = command->add_option("--host", serve_options.host, "Address to listen on")
                   ->capture_default_str()
                   ->envname("TACIT_HOST");
  auto* port = command->add_option("--port", serve_options.port, "Port; 0 picks a free one")
                   ->capture_default_str()
                   ->envname("TACIT_PORT");
  command->add_option("--unix", serve_options.unix_path,
                      "Listen on a Unix socket (and on TCP only if --host or --port is given)");
  command->add_option("--model", serve_options.models,
                      "Load at start: a name, or the path of a GGUF file (repeatable)");
  command->add_option("--tls-cert", serve_options.tls_certificate, "Certificate chain, PEM")
      ->check(CLI::ExistingFile);
  command->add_option("--tls-key", serve_options.tls_key, "Private key, PEM")
      ->check(CLI::ExistingFile);
  command->add_flag("--no-auth", serve_options.no_auth, "Answer anyone, without keys");
  command->add_flag("--insecure-plain-http", serve_options.insecure_plain_http,
                    "Allow plain HTTP beyond this machine");
  command->add_flag("--sealed-only", serve_options.sealed_only,
                    "Answer sealed requests (tacit connect) and /health, nothing else");
  command->add_flag("--ohttp", serve_options.ohttp,
                    "Also answer clients of Oblivious HTTP (RFC 9458), plain and chunked");
  command->add_flag("--ehbp", serve_options.ehbp,
                    "Also answer clients of EHBP, which seals bodies only (docs/guide/ehbp.md)");
  command
      ->add_option_function<unsigned>(
          "--sealed-key-life",
          [&serve_options](const unsigned& s) { serve_options.sealed_key_life = Seconds{s}; },
          "Seconds for which a key of the sealed channel opens requests")
      ->check(CLI::Range(2u, 86'400u))
      ->default_str("600");
  add_attest_options(*command, serve_options.attest);
  command
      ->add_option("--attest-collateral", serve_options.attest_collateral,
                   "A folder whose files go along with the evidence: certificates, TCB info, RIMs")
      ->check(CLI::ExistingDirectory)
      ->group("Attestation");
  command
      ->add_option("--attest-policy", serve_options.attest_policy,
                   "A text of yours that the evidence is bound to: what you promise clients")
      ->check(CLI::ExistingFile)
      ->group("Attestation");
  command
      ->add_option("--drain-timeout", options->drain_timeout_s,
                   "Seconds that running requests get at shutdown")
      ->capture_default_str();
  command->add_option("--context", serve_options.context,
                      "Context per request in tokens (default: the model's, at most 4096)");
  command->add_option("--parallel", serve_options.parallel, "Requests in one batch (default 8)")
      ->check(CLI::Range(1u, 256u));
  command->add_option("--threads", serve_options.threads, "Engine threads (default: cores)")
      ->check(CLI::Range(1u, 1024u));
  add_kv_type(*command, serve_options.kv_type);
  command->add_option_function<std::vector<std::string>>(
      "--tenant-weight",
      [&serve_options](const std::vector<std::string>& given) {
        for (const auto& each : given) add_weight(serve_options, each);
      },
      "KEY_ID=N: a key's share of a busy engine, 1 to 1000 (repeatable; default 1)");
  command
      ->add_option("--io-threads", serve_options.io_threads,
                   "Network threads (default: one per core)")
      ->check(CLI::Range(1u, 1024u));
  command->add_option("--log-level", options->log_level, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
  command->add_option("--log-format", options->log_format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  add_limits(*command, serve_options.limits);
  command->footer(
      "The first start makes an API key and shows it once. SIGTERM lets running requests finish; a "
      "second\n"
      "signal ends at once. Logs go to standard error and never carry content.\n\n"
      "Examples:\n"
      "  tacit serve --model smollm2\n"
      "  tacit serve --host 0.0.0.0 --tls-cert chain.pem --tls-key key.pem\n"
      "  tacit serve --host 0.0.0.0 --tls-cert chain.pem --tls-key key.pem --sealed-only\n"
      "  tacit serve --model smollm2 --ohttp --ehbp\n"
      "  tacit serve --unix /run/tacit.sock --log-format json\n"
      "  tacit serve --model smollm2 --attest tpm --tpm-certificate ak-chain.pem");
  command->callback([&context, options, host, port] {
    const bool tcp_named = host->count() > 0 || port->count() > 0;
    context.chosen = [&context, options, tcp_named] { return serve(context, *options, tcp_named); };
  });
}

}  // namespace tacit::cli
