// A package index with one wheel on loopback, with the faults that a test asks for. For tests only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "async/runtime.hpp"
#include "async/task_group.hpp"
#include "async/wait.hpp"
#include "core/text.hpp"
#include "http/server.hpp"

namespace tacit::registry::testing {

// PackageServer serves /simple/tiny-model/ and the wheel below /files/. Everything public may be
// changed between requests. Lives on one shard, which the test drives.
class PackageServer final : public http::Handler {
 public:
  Bytes wheel;
  bool json_index = true;
  bool send_parts = true;  // honour Range
  bool redirect = false;   // each address first points somewhere else
  int index_status = 200;
  int wheel_status = 200;
  std::string authorization;  // asked for when not empty
  // Bodies longer than this are cut there without a proper end, as often as `cuts_left` says.
  std::size_t cut_at = 0;
  int cuts_left = 0;
  bool stall_instead_of_cut = false;   // send nothing more, but keep the connection
  std::optional<std::size_t> flip_at;  // byte of the wheel that arrives damaged

  // What happened.
  std::uint64_t body_bytes = 0;       // of the wheel, sent
  std::vector<std::string> requests;  // "path range"

  explicit PackageServer(async::Shard& shard)
      : shared_{std::make_shared<http::Server::Shared>()},
        server_{shard,
                *this,
                log_,
                shared_,
                {.listen = {.host = "127.0.0.1", .port = 0, .unix_path = ""}}},
        group_{shard.io.get_executor()} {}

  Result<void> start() {
    TACIT_CHECK(server_.listen(true));
    group_.spawn(server_.run());
    return {};
  }
  Task<> stop() {
    co_await server_.drain(Deadline::after(Seconds{5}));
    co_await group_.join(Deadline::after(Seconds{5}));
  }
  std::string index_url() const {
    return "http://127.0.0.1:" + std::to_string(server_.port()) + "/simple";
  }

  Task<> serve(http::Exchange& exchange) override {
    const auto& request = exchange.request();
    const auto range = std::string{request.headers.find("range").value_or("")};
    requests.push_back(request.target + " " + range);
    if (!authorization.empty() && request.headers.find("authorization") != authorization) {
      co_await reply(exchange, 401, "text/plain", as_bytes("who are you?"));
      co_return;
    }
    if (redirect && !request.target.starts_with("/moved")) {
      http::ResponseHead head{.status = 302};
      head.headers.set("location", "/moved" + request.target);
      static_cast<void>(co_await exchange.respond(std::move(head), {}));
      co_return;
    }
    if (request.target.ends_with("/simple/tiny-model/"))
      co_await serve_index(exchange);
    else if (request.target.ends_with("/files/tiny_model-1.0-py3-none-any.whl"))
      co_await serve_wheel(exchange, range);
    else
      co_await reply(exchange, 404, "text/plain", as_bytes("not here"));
  }

 private:
  Task<> reply(http::Exchange& exchange, int status, std::string type, BytesView body) {
    http::ResponseHead head{.status = status};
    head.headers.set("content-type", std::move(type));
    static_cast<void>(co_await exchange.respond(std::move(head), body));
  }

  Task<> serve_index(http::Exchange& exchange) {
    const std::string json =
        R"({"meta":{"api-version":"1.1"},"name":"tiny-model","files":[{"filename":)"
        R"("tiny_model-1.0-py3-none-any.whl","url":"../../files/tiny_model-1.0-py3-none-any.whl","hashes":{}}]})";
    const std::string html =
        R"(<a href="../../files/tiny_model-1.0-py3-none-any.whl#sha256=0">tiny_model-1.0-py3-none-any.whl</a>)";
    const auto& body = json_index ? json : html;
    const std::string type = json_index ? "application/vnd.pypi.simple.v1+json" : "text/html";
    co_await reply(exchange, index_status, type, as_bytes(body));
  }

  Task<> serve_wheel(http::Exchange& exchange, std::string range) {
    http::ResponseHead head{.status = wheel_status};
    head.headers.set("content-type", "application/zip");
    std::size_t first = 0;
    std::size_t last = wheel.size() - 1;
    if (send_parts && range.starts_with("bytes=") && wheel_status == 200) {
      const auto dash = range.find('-');
      first = parse_u64(range.substr(6, dash - 6)).value_or(0);
      last = std::min(last,
                      static_cast<std::size_t>(parse_u64(range.substr(dash + 1)).value_or(last)));
      head.status = 206;
      head.headers.set("content-range", "bytes " + std::to_string(first) + "-" +
                                            std::to_string(last) + "/" +
                                            std::to_string(wheel.size()));
    }
    Bytes body{wheel.begin() + static_cast<std::ptrdiff_t>(first),
               wheel.begin() + static_cast<std::ptrdiff_t>(last) + 1};
    if (flip_at && *flip_at >= first && *flip_at <= last) body[*flip_at - first] ^= std::byte{1};
    const bool cut = cuts_left > 0 && body.size() > cut_at;
    if (!cut) {
      body_bytes += body.size();
      static_cast<void>(co_await exchange.respond(std::move(head), body));
      co_return;
    }
    --cuts_left;
    body_bytes += cut_at;
    const auto part = BytesView{body}.first(cut_at);
    if (!co_await exchange.start(std::move(head))) co_return;
    if (!co_await exchange.write(part)) co_return;
    // Returning without finish() is what the client sees as a broken transfer.
    if (stall_instead_of_cut)
      static_cast<void>(co_await async::sleep_until(exchange.deadline().when()));
  }

  NullLogger log_;
  std::shared_ptr<http::Server::Shared> shared_;
  http::Server server_;
  async::TaskGroup group_;
};

}  // namespace tacit::registry::testing
