#include "registry/local_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "registry/verification.hpp"

namespace tacit::registry {
namespace {

Error open_error(int number) {
  switch (number) {
    case ENOENT:
    case ENOTDIR: return {Code::not_found, "no such file"};
    case EACCES:
    case EPERM: return {Code::permission, "the file may not be read"};
    default: return Error{Code::io, "cannot open the file"}.with("errno", number);
  }
}

}  // namespace

Result<void> may_be_loaded(const formats::GgufFile& header) {
  if (header.tensors.empty() || header.architecture().empty()) {
    return fail(Code::malformed, "a GGUF file without a model: no tensors or no architecture");
  }
  if (header.number("split.count").value_or(1) > 1) {
    return fail(
        Error{Code::unsupported, "one part of a model that is split over several files"}.fix(
            "Join the parts first (llama-gguf-split --merge)"));
  }
  return {};
}

Result<Registry::Opened> open_local_file(const std::filesystem::path& path) {
  const auto about = [&](Error error) {
    return fail(std::move(error).about(PublicText{
        error.subject().empty() ? path.string() : path.string() + ": " + error.subject()}));
  };
  // Non-blocking, so that a pipe of that name does not stop everything; for files it means nothing.
  UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (!fd) return about(open_error(errno));
  auto header = formats::read_gguf(fd.get());
  if (!header) return about(std::move(header).error());
  if (auto fit = may_be_loaded(*header); !fit) return about(std::move(fit).error());
  auto digest = hash_file(fd.get());
  if (!digest) return about(std::move(digest).error());
  const auto text_or = [&](const char* key, std::string otherwise) {
    return header->text(key).value_or(std::move(otherwise));
  };
  InstalledModel model{path.stem().string(),
                       text_or("general.name", path.stem().string()),
                       text_or("general.license", ""),
                       header->file_bytes,
                       *std::move(digest),
                       0};
  return Registry::Opened{std::move(model), std::move(fd), *std::move(header), {}};
}

Error about_local_file(Error error, const std::filesystem::path& path) {
  const bool bad_file = error.code() == Code::malformed;
  auto about = std::move(error).about(PublicText{path.string()});
  return bad_file ? std::move(about).fix("Download or convert the file again") : about;
}

}  // namespace tacit::registry
