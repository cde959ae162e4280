#include "api/openai/models.hpp"

#include "api/json_text.hpp"

namespace tacit::api::openai {
namespace {

void append_model(JsonText& out, const domain::ModelInfo& model, std::int64_t created_unix_s) {
  out.raw(R"({"id":)")
      .string(model.name)
      .raw(R"(,"object":"model","created":)")
      .number(created_unix_s);
  out.raw(R"(,"owned_by":"tacit")");
  if (!model.digest.empty()) out.raw(R"(,"digest":)").string(model.digest);
  if (model.context_tokens_max > 0)
    out.raw(R"(,"context_window":)").number(model.context_tokens_max);
  out.raw("}");
}

}  // namespace

std::string render_model(const domain::ModelInfo& model, std::int64_t created_unix_s) {
  JsonText out;
  append_model(out, model, created_unix_s);
  return std::string{out.text().reveal()};
}

std::string render_models(std::span<const domain::ModelInfo> models, std::int64_t created_unix_s) {
  JsonText out;
  out.raw(R"({"object":"list","data":[)");
  for (std::size_t i = 0; i < models.size(); ++i) {
    if (i > 0) out.raw(",");
    append_model(out, models[i], created_unix_s);
  }
  out.raw("]}");
  return std::string{out.text().reveal()};
}

}  // namespace tacit::api::openai
