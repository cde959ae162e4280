#include "api/openai/embeddings.hpp"

#include <array>
#include <bit>
#include <cmath>

#include "api/openai/wire.hpp"
#include "core/text.hpp"

namespace tacit::api::openai {
namespace json = boost::json;
namespace {

constexpr std::array<std::string_view, 7> kKnown{
    "model", "input", "encoding_format", "dimensions", "user", "metadata", "embd_normalize"};

// The floats as little-endian bytes in base64, as OpenAI sends them.
std::string base64_of(const std::vector<float>& values) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<std::uint8_t> bytes;
  bytes.reserve(values.size() * 4);
  for (const auto value : values) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    for (unsigned shift = 0; shift < 32; shift += 8)
      bytes.push_back(static_cast<std::uint8_t>(bits >> shift));
  }
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto left = bytes.size() - i;
    std::uint32_t group = static_cast<std::uint32_t>(bytes[i]) << 16;
    if (left > 1) group |= static_cast<std::uint32_t>(bytes[i + 1]) << 8;
    if (left > 2) group |= bytes[i + 2];
    out += kDigits[group >> 18 & 63];
    out += kDigits[group >> 12 & 63];
    out += left > 1 ? kDigits[group >> 6 & 63] : '=';
    out += left > 2 ? kDigits[group & 63] : '=';
  }
  return out;
}

// The first values, made of length one again: what Matryoshka-trained models are made for.
void shorten(std::vector<float>& values, std::size_t dimensions) {
  if (dimensions == 0 || dimensions >= values.size()) return;
  values.resize(dimensions);
  double length = 0;
  for (const auto value : values) length += static_cast<double>(value) * static_cast<double>(value);
  if (length <= 0) return;
  for (auto& value : values)
    value = static_cast<float>(static_cast<double>(value) / std::sqrt(length));
}

class EmbeddingsRenderer final : public Renderer {
 public:
  struct Options {
    std::size_t num_inputs = 1;
    bool base64 = false;
    std::size_t dimensions = 0;
  };
  explicit EmbeddingsRenderer(Options options) : options_{options}, vectors_(options.num_inputs) {}

  void begin(const AnswerContext& context) override { context_ = context; }
  void feed(std::uint32_t choice, const domain::Event& event) override {
    if (const auto* delta = std::get_if<domain::VectorDelta>(&event))
      vectors_[choice].insert(vectors_[choice].end(), delta->values.begin(), delta->values.end());
    const auto* finished = std::get_if<domain::Finished>(&event);
    if (finished == nullptr) return;
    num_tokens_ += finished->usage.prompt_tokens;
    if (++num_finished_ == vectors_.size()) whole_body();
  }
  SecretText take() override { return std::exchange(out_, JsonText{}).take(); }

 private:
  void whole_body() {
    out_.raw(R"({"object":"list","data":[)");
    for (std::size_t i = 0; i < vectors_.size(); ++i) {
      if (i > 0) out_.raw(",");
      shorten(vectors_[i], options_.dimensions);
      out_.raw(R"({"object":"embedding","index":)").number(static_cast<std::int64_t>(i));
      out_.raw(R"(,"embedding":)");
      if (options_.base64) {
        out_.raw("\"").raw(base64_of(vectors_[i])).raw("\"}");
        continue;
      }
      out_.raw("[");
      for (std::size_t k = 0; k < vectors_[i].size(); ++k) {
        if (k > 0) out_.raw(",");
        out_.real(vectors_[i][k]);
      }
      out_.raw("]}");
    }
    out_.raw(R"(],"model":)").string(context_.model).raw(R"(,"usage":{"prompt_tokens":)");
    out_.number(num_tokens_).raw(R"(,"total_tokens":)").number(num_tokens_).raw("}}");
  }
  Options options_;
  AnswerContext context_;
  std::vector<std::vector<float>> vectors_;
  std::size_t num_finished_ = 0;
  std::int64_t num_tokens_ = 0;
  JsonText out_;
};

// One text or list of tokens.
Result<domain::GenerateRequest> read_input(const json::value& value, const Field& field,
                                           const std::string& model) {
  domain::GenerateRequest request;
  request.purpose = domain::Purpose::embed;
  request.model = model;
  request.text_has_special = false;
  if (const auto* text = value.if_string()) {
    if (text->empty()) return fail(field.error(Code::invalid_argument, "a text may not be empty"));
    request.text = domain::Content{view(*text)};
    return request;
  }
  const auto* list = value.if_array();
  if (list == nullptr || list->empty())
    return fail(field.error(Code::invalid_argument, "must hold strings or arrays of tokens"));
  request.tokens.emplace();
  for (const auto& each : *list) {
    if (!each.is_int64() || each.get_int64() < 0 || each.get_int64() > 10'000'000)
      return fail(field.error(Code::invalid_argument, "must hold numbers of tokens"));
    request.tokens->push_back(static_cast<std::int32_t>(each.get_int64()));
  }
  return request;
}

}  // namespace

Result<Call> embeddings(std::string_view body, const Limits& limits) {
  TACIT_TRY(const auto document, JsonDocument::parse(body, json_limits(limits)));
  TACIT_TRY(const auto* root, root_object(document));
  TACIT_TRY(const auto model, read_model(*root, limits));
  const Field input{*root, "input"};
  if (input.value() == nullptr) return fail(input.missing());
  Call call;
  const auto* list = input.value()->if_array();
  if (list == nullptr || (!list->empty() && list->front().is_number())) {
    TACIT_TRY(auto request, read_input(*input.value(), input, model));
    call.requests.push_back(std::move(request));
  } else {
    if (list->empty()) return fail(input.error(Code::invalid_argument, "has no text"));
    if (list->size() > limits.inputs_max) {
      return fail(input.error(Code::too_large, "too many texts")
                      .with("limit", static_cast<std::int64_t>(limits.inputs_max)));
    }
    for (const auto& each : *list) {
      TACIT_TRY(auto request, read_input(each, input, model));
      call.requests.push_back(std::move(request));
    }
  }
  const Field format{*root, "encoding_format"};
  TACIT_TRY(const auto word, format.text());
  if (word && *word != "float" && *word != "base64")
    return fail(format.error(Code::invalid_argument, "must be float or base64"));
  TACIT_TRY(const auto dimensions, Field(*root, "dimensions").integer(1, 1'000'000));
  call.num_unknown_fields = count_unknown(*root, kKnown);
  call.renderer = std::make_unique<EmbeddingsRenderer>(
      EmbeddingsRenderer::Options{.num_inputs = call.requests.size(),
                                  .base64 = word == "base64",
                                  .dimensions = static_cast<std::size_t>(dimensions.value_or(0))});
  return call;
}

}  // namespace tacit::api::openai
