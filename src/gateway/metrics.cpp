#include "gateway/metrics.hpp"

#include <fmt/format.h>

namespace tacit::gateway {
namespace {

// Sums of all shards for one model.
struct Totals {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t generation_tokens = 0;
  std::array<std::uint64_t, 4> requests{};
  struct Hist {
    std::array<std::uint64_t, Histogram::kBounds.size() + 1> buckets{};
    std::uint64_t sum_ns = 0;
    void add(const Histogram& h) {
      for (std::size_t i = 0; i < buckets.size(); ++i) buckets[i] += h.buckets[i].value();
      sum_ns += h.sum_ns.value();
    }
  } ttft, itl, e2e;
};

std::string label(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out;
}

void family(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void histogram(std::string& out, std::string_view name, std::string_view help,
               const std::map<std::string, Totals>& models, Totals::Hist Totals::* member) {
  family(out, name, "histogram", help);
  for (const auto& [model, totals] : models) {
    const auto& h = totals.*member;
    std::uint64_t cumulative = 0;
    for (std::size_t i = 0; i < Histogram::kBounds.size(); ++i) {
      cumulative += h.buckets[i];
      out += fmt::format("{}_bucket{{model_name=\"{}\",le=\"{}\"}} {}\n", name, label(model),
                         Histogram::kBounds[i], cumulative);
    }
    cumulative += h.buckets.back();
    out += fmt::format("{}_bucket{{model_name=\"{}\",le=\"+Inf\"}} {}\n", name, label(model),
                       cumulative);
    out += fmt::format("{}_sum{{model_name=\"{}\"}} {}\n", name, label(model),
                       static_cast<double>(h.sum_ns) / 1e9);
    out += fmt::format("{}_count{{model_name=\"{}\"}} {}\n", name, label(model), cumulative);
  }
}

}  // namespace

void Histogram::observe(Nanoseconds duration) noexcept {
  const auto ns = duration.count() < 0 ? 0 : duration.count();
  const double seconds = static_cast<double>(ns) / 1e9;
  std::size_t bucket = 0;
  while (bucket < kBounds.size() && seconds > kBounds[bucket]) ++bucket;
  buckets[bucket].add();
  sum_ns.add(static_cast<std::uint64_t>(ns));
}

ModelSeries& ShardMetrics::model(const std::string& model) {
  const auto found = models_.find(model);
  if (found != models_.end()) return *found->second;
  const std::scoped_lock lock{insert_mutex_};
  return *models_.emplace(model, std::make_unique<ModelSeries>()).first->second;
}

Metrics::Metrics(std::size_t num_shards) {
  for (std::size_t i = 0; i < num_shards; ++i) shards_.push_back(std::make_unique<ShardMetrics>());
}

std::string Metrics::render(const std::vector<ModelGauges>& gauges,
                            std::size_t open_connections) const {
  std::map<std::string, Totals> models;
  std::array<std::uint64_t, 6> by_status{};
  std::uint64_t unknown_fields = 0;
  std::uint64_t auth_failures = 0;
  for (const auto& shard : shards_) {
    const std::scoped_lock lock{shard->insert_mutex_};
    for (std::size_t i = 0; i < by_status.size(); ++i)
      by_status[i] += shard->requests_by_status[i].value();
    unknown_fields += shard->unknown_fields.value();
    auth_failures += shard->auth_failures.value();
    for (const auto& [name, series] : shard->models_) {
      auto& t = models[name];
      t.prompt_tokens += series->prompt_tokens.value();
      t.generation_tokens += series->generation_tokens.value();
      for (std::size_t i = 0; i < t.requests.size(); ++i)
        t.requests[i] += series->requests[i].value();
      t.ttft.add(series->time_to_first_token);
      t.itl.add(series->inter_token_latency);
      t.e2e.add(series->e2e_latency);
    }
  }

  std::string out;
  const auto gauge = [&](std::string_view name, std::string_view help, auto value) {
    family(out, name, "gauge", help);
    for (const auto& g : gauges)
      out += fmt::format("{}{{model_name=\"{}\"}} {}\n", name, label(g.model), value(g));
  };
  gauge("vllm:num_requests_running", "Requests in the running batch.",
        [](const auto& g) { return g.running; });
  gauge("vllm:num_requests_waiting", "Requests waiting for a place.",
        [](const auto& g) { return g.waiting; });
  gauge("vllm:kv_cache_usage_perc", "Used share of the KV cache, 0 to 1.",
        [](const auto& g) { return g.kv_cache_usage; });

  const auto counter = [&](std::string_view name, std::string_view help, auto value) {
    family(out, name, "counter", help);
    for (const auto& [model, t] : models)
      out += fmt::format("{}{{model_name=\"{}\"}} {}\n", name, label(model), value(t));
  };
  counter("vllm:prompt_tokens_total", "Prompt tokens computed.",
          [](const auto& t) { return t.prompt_tokens; });
  counter("vllm:generation_tokens_total", "Tokens generated.",
          [](const auto& t) { return t.generation_tokens; });
  family(out, "vllm:request_success_total", "counter", "Finished requests by reason.");
  constexpr std::array reasons{"stop", "length", "abort", "error"};
  for (const auto& [model, t] : models) {
    for (std::size_t i = 0; i < reasons.size(); ++i) {
      out +=
          fmt::format("vllm:request_success_total{{finished_reason=\"{}\",model_name=\"{}\"}} {}\n",
                      reasons[i], label(model), t.requests[i]);
    }
  }
  histogram(out, "vllm:time_to_first_token_seconds", "Request read to first token.", models,
            &Totals::ttft);
  histogram(out, "vllm:inter_token_latency_seconds", "Between two token events of one request.",
            models, &Totals::itl);
  histogram(out, "vllm:e2e_request_latency_seconds", "Request read to last event.", models,
            &Totals::e2e);

  family(out, "tacit_http_requests_total", "counter", "HTTP requests by class of status.");
  for (std::size_t i = 1; i < by_status.size(); ++i) {
    out += fmt::format("tacit_http_requests_total{{status=\"{}xx\"}} {}\n", i, by_status[i]);
  }
  family(out, "tacit_http_connections", "gauge", "Open HTTP connections.");
  out += fmt::format("tacit_http_connections {}\n", open_connections);
  family(out, "tacit_auth_failures_total", "counter", "Requests without a valid key.");
  out += fmt::format("tacit_auth_failures_total {}\n", auth_failures);
  family(out, "tacit_api_unknown_fields_total", "counter",
         "Request fields that were accepted and ignored.");
  out += fmt::format("tacit_api_unknown_fields_total {}\n", unknown_fields);
  return out;
}

}  // namespace tacit::gateway
