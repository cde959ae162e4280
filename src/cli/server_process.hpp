// `tacit serve`, wired: runtime, keys, models, one gateway and one HTTP server per shard, drain.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cli/attest_options.hpp"
#include "cli/environment.hpp"
#include "core/log.hpp"
#include "engine/engine.hpp"
#include "http/server.hpp"

namespace tacit::cli {

struct ServeOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;
  std::string unix_path;  // also (or with tcp off: only) on this Unix socket
  bool tcp = true;
  std::vector<std::string> models;  // loaded at start: names or GGUF paths
  std::string tls_certificate;
  std::string tls_key;
  bool no_auth = false;
  bool insecure_plain_http = false;
  bool sealed_only = false;
  bool ohttp = false;
  bool ehbp = false;
  Seconds sealed_key_life{600};
  AttestOptions attest;
  std::string attest_collateral;  // a folder
  std::string attest_policy;      // a file
  Seconds drain_timeout{30};
  std::size_t io_threads = 0;  // 0: one per core
  std::uint32_t context = 0;
  std::uint32_t parallel = 0;
  std::uint32_t threads = 0;
  engine::KvType kv_type = engine::KvType::f16;
  std::map<std::string, std::uint32_t, std::less<>> weights;  // by the id of a key
  http::ServerLimits limits;
  LogLevel log_level = LogLevel::info;
  LogFormat log_format = LogFormat::text;
};

// Refuses to listen beyond this machine without TLS, unless the operator says so in words.
// Errors: forbidden, with the words.
Result<void> check_exposure(const ServeOptions& options);

bool is_loopback_host(std::string_view host);

// Serves until SIGTERM or SIGINT and the drain that follows; returns the exit status.
int run_server(const Environment& environment, const ServeOptions& options);

}  // namespace tacit::cli
