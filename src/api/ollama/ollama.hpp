// Ollama's native API: bytes to domain, events to bytes. Pure functions; no I/O.
// Source: ollama/ollama docs/api.md and api/types.go (0.13), and the types of its SDKs.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "api/generation.hpp"
#include "domain/backend.hpp"

namespace tacit::api::ollama {

extern const Dialect kDialect;

Result<Call> chat(std::string_view body, const Limits& limits);        // POST /api/chat
Result<Call> generate(std::string_view body, const Limits& limits);    // POST /api/generate
Result<Call> embed(std::string_view body, const Limits& limits);       // POST /api/embed
Result<Call> embeddings(std::string_view body, const Limits& limits);  // POST /api/embeddings

// GET /api/tags: every model; GET /api/ps: those that are loaded.
std::string render_tags(std::span<const domain::ModelInfo> models, std::int64_t now_unix_s);
std::string render_ps(std::span<const domain::ModelInfo> models, std::int64_t now_unix_s);
// GET /api/version: the version of Ollama whose API this is, and the program's own.
std::string render_version(std::string_view version);
// POST /api/show: the model that the body names. Errors as for api::Parse.
Result<std::string> parse_show(std::string_view body, const Limits& limits);
std::string render_show(const domain::ModelInfo& model, std::int64_t now_unix_s);

// Answers of chat and generate: one JSON object, or one per line.
class AnswerRenderer final : public Renderer {
 public:
  struct Options {
    bool stream = true;
    bool chat = true;        // else generate
    bool only_load = false;  // nothing was asked: the model is loaded
  };
  explicit AnswerRenderer(Options options) : options_{options} {}

  void begin(const AnswerContext& context) override;
  void feed(std::uint32_t choice, const domain::Event& event) override;
  void timed(std::uint32_t /*choice*/, const Timing& timing) override { timing_ = timing; }
  SecretText take() override;

 private:
  struct Tool {
    std::string id;
    std::string name;
    SecretText arguments;
  };
  void line(std::string_view text, std::string_view thinking, std::string_view calls,
            const domain::Finished* finished);
  SecretText take_calls();

  Options options_;
  AnswerContext context_;
  std::string created_;
  Timing timing_;
  SecretText out_;
  SecretText text_;
  SecretText thinking_;
  std::map<std::uint32_t, Tool> calls_;
};

}  // namespace tacit::api::ollama
