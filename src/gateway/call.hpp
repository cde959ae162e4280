// Private to gateway: one request on its way through it, and the handlers of the routes.
#pragma once

#include <string>

#include "api/generation.hpp"
#include "gateway/gateway.hpp"

namespace tacit::gateway {

struct Gateway::Call {
  http::Exchange& exchange;
  GatewayParts& parts;
  const GatewayOptions& options;
  Principal principal;                    // empty id when keys are off
  std::string_view path_tail;             // what follows a route's prefix
  const api::Dialect* dialect = nullptr;  // the route's
  api::Parse parse = nullptr;             // likewise; null where no model answers
  SteadyTime begun = {};
  int status = 0;  // what was answered; 0: nothing, the client left

  ShardMetrics& metrics() const { return parts.metrics.shard(parts.shard_index); }
  std::int64_t unix_s() const {
    return std::chrono::duration_cast<Seconds>(parts.clock.wall().time_since_epoch()).count();
  }
};

// Answers with a body of a known type; remembers the status. A client that left is no error.
Task<> respond(Gateway::Call& call, int status, std::string_view content_type,
               std::string_view body, http::Headers headers = {});
// Answers with an error in the API's own words; `code` as for api::Dialect.
Task<> respond_error(Gateway::Call& call, const Error& error, std::string_view code = {});
inline constexpr std::string_view kModelNotFound = "model_not_found";

// Everything that a model answers, in any API: the call's `parse` says what is asked.
Task<> generation(Gateway::Call& call);
// GET /api/tags, /api/ps, /api/version; POST /api/show
Task<> ollama_tags(Gateway::Call& call);
Task<> ollama_ps(Gateway::Call& call);
Task<> ollama_version(Gateway::Call& call);
Task<> ollama_show(Gateway::Call& call);

}  // namespace tacit::gateway
