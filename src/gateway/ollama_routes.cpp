// What Ollama's API tells of models, without asking one.
#include "api/ollama/ollama.hpp"
#include "gateway/call.hpp"

namespace tacit::gateway {
namespace {

constexpr std::string_view kJson = "application/json";

}  // namespace

Task<> ollama_tags(Gateway::Call& call) {
  const auto body = api::ollama::render_tags(call.parts.models.list(), call.unix_s());
  co_await respond(call, 200, kJson, body);
}

Task<> ollama_ps(Gateway::Call& call) {
  const auto body = api::ollama::render_ps(call.parts.models.list(), call.unix_s());
  co_await respond(call, 200, kJson, body);
}

Task<> ollama_version(Gateway::Call& call) {
  const auto body = api::ollama::render_version(call.options.version);
  co_await respond(call, 200, kJson, body);
}

Task<> ollama_show(Gateway::Call& call) {
  auto body = co_await http::read_body(call.exchange, call.options.body_bytes_max);
  if (!body) {
    co_await respond_error(call, body.error());
    co_return;
  }
  const auto name = api::ollama::parse_show(body->reveal(), {});
  if (!name) {
    co_await respond_error(call, name.error());
    co_return;
  }
  for (const auto& model : call.parts.models.list()) {
    if (model.name != *name && model.name != *name + ":latest") continue;
    const auto text = api::ollama::render_show(model, call.unix_s());
    co_await respond(call, 200, kJson, text);
    co_return;
  }
  const auto missing =
      Error{Code::not_found, "no such model"}.fix("GET /api/tags lists what this server has");
  co_await respond_error(call, missing);
}

}  // namespace tacit::gateway
