// A file of test vectors: a flat JSON object of hexadecimal strings, ours, and read as simply.
#pragma once

#include <fstream>
#include <iterator>
#include <string>

#include "core/text.hpp"

namespace tacit::seal::testing {

class VectorFile {
 public:
  explicit VectorFile(const std::string& path) {
    std::ifstream file{path};
    text_.assign(std::istreambuf_iterator<char>{file}, {});
  }
  // Throws std::bad_optional_access when it is not there.
  Bytes hex(const std::string& name) const {
    const auto key = text_.find('"' + name + '"');
    const auto begin = text_.find('"', text_.find(':', key)) + 1;
    return from_hex(std::string_view{text_}.substr(begin, text_.find('"', begin) - begin)).value();
  }

 private:
  std::string text_;
};

}  // namespace tacit::seal::testing
