#include "engine/load_error.hpp"

namespace tacit::engine {
namespace {

struct Rule {
  std::string_view part;
  Code code;
  Literal what;
};

// First match wins: the particular before the general.
constexpr Rule kRules[] = {
    {"unknown model architecture", Code::unsupported,
     "model architecture is unknown to this engine"},
    {"unsupported model architecture", Code::unsupported,
     "model architecture is unknown to this engine"},
    {"unknown tokenizer", Code::unsupported, "model's tokenizer is unknown to this engine"},
    {"unknown pre-tokenizer", Code::unsupported, "model's tokenizer is unknown to this engine"},
    {"split", Code::unsupported, "model is split over several files"},
    {"corrupted or incomplete", Code::malformed, "tensor data runs past the end of the file"},
    {"within the file bounds", Code::malformed, "tensor data runs past the end of the file"},
    {"unexpectedly reached end of file", Code::malformed,
     "truncated: the header goes on past the end of the file"},
    {"invalid magic", Code::malformed, "not a GGUF file"},
    {"failed to read magic", Code::malformed, "not a GGUF file"},
    {"bad_alloc", Code::too_large, "not enough memory to load the model"},
    {"unable to allocate", Code::too_large, "not enough memory to load the model"},
    {"failed to allocate", Code::too_large, "not enough memory to load the model"},
    {"mmap failed", Code::too_large, "not enough memory to load the model"},
    {"missing tensor", Code::malformed, "model lacks a tensor of its architecture"},
    {"key not found", Code::malformed, "model lacks metadata of its architecture"},
    {"wrong number of tensors", Code::malformed, "model tensors are invalid"},
    {"tokenizer", Code::malformed, "model vocabulary is invalid"},
    {"vocab", Code::malformed, "model vocabulary is invalid"},
    {"tensor", Code::malformed, "model tensors are invalid"},
    {"key", Code::malformed, "model metadata is invalid"},
    {"header", Code::malformed, "model metadata is invalid"},
    {"error loading model", Code::malformed, "model metadata is invalid"},
};

}  // namespace

std::optional<Error> classify_load_message(std::string_view line) noexcept {
  for (const auto& rule : kRules) {
    if (line.find(rule.part) != std::string_view::npos) return Error{rule.code, rule.what};
  }
  return std::nullopt;
}

}  // namespace tacit::engine
