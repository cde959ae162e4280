// A client of Oblivious HTTP from a module that is not ours, against a running `tacit serve --ohttp`.
// Environment: TACIT_URL, TACIT_KEY, TACIT_MODEL; TACIT_GATEWAY, when requests go through a relay; TACIT_PROMPT.
// Prints a line per conversation.
package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/openpcc/ohttp"
)

const gatewayPath = "/.well-known/ohttp-gateway"

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func configurations(gateway string) ohttp.KeyConfigs {
	response, err := http.Get(gateway)
	check(err)
	defer response.Body.Close()
	if kind := response.Header.Get("Content-Type"); kind != "application/ohttp-keys" {
		log.Fatalf("keys are %q", kind)
	}
	encoded, err := io.ReadAll(response.Body)
	check(err)
	var configs ohttp.KeyConfigs
	check(configs.UnmarshalBinary(encoded))
	return configs
}

func prompt() string {
	if given := os.Getenv("TACIT_PROMPT"); given != "" {
		return given
	}
	return "Name three colours."
}

// How a request's body comes: with its length (plain), or without (chunked).
func body(text string, chunked bool) io.Reader {
	if chunked {
		return io.MultiReader(strings.NewReader(text[:10]), strings.NewReader(text[10:]))
	}
	return bytes.NewReader([]byte(text))
}

func ask(client *http.Client, stream, chunked bool) string {
	text := fmt.Sprintf(`{"model":%q,"max_tokens":12,"stream":%v,"messages":[{"role":"user","content":%q}]}`,
		os.Getenv("TACIT_MODEL"), stream, prompt())
	request, err := http.NewRequest(http.MethodPost, "http://ohttp.invalid/v1/chat/completions", body(text, chunked))
	check(err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+os.Getenv("TACIT_KEY"))
	response, err := client.Do(request)
	check(err)
	defer response.Body.Close()
	var answer strings.Builder
	pieces := 0
	buffer := make([]byte, 4096)
	for {
		n, err := response.Body.Read(buffer)
		answer.Write(buffer[:n])
		if n > 0 {
			pieces++
		}
		if err == io.EOF {
			break
		}
		check(err)
	}
	wanted := `"chat.completion"`
	if stream {
		wanted = "data: [DONE]"
	}
	if response.StatusCode != http.StatusOK || !strings.Contains(answer.String(), wanted) {
		log.Fatalf("%d %s", response.StatusCode, answer.String())
	}
	if stream && chunked && pieces < 5 {
		log.Fatalf("the answer came in %d pieces: it did not stream", pieces)
	}
	return fmt.Sprintf("%d bytes in %d pieces", answer.Len(), pieces)
}

func main() {
	gateway := os.Getenv("TACIT_GATEWAY")
	if gateway == "" {
		gateway = os.Getenv("TACIT_URL") + gatewayPath
	}
	seen := map[uint16]bool{}
	for _, config := range configurations(gateway) {
		seen[uint16(config.KemID)] = true
		all := config.SymmetricAlgorithms
		for _, suite := range all {
			config.SymmetricAlgorithms = []ohttp.SymmetricAlgorithm{suite}
			transport, err := ohttp.NewTransport(config, gateway)
			check(err)
			client := &http.Client{Transport: transport}
			for _, chunked := range []bool{false, true} {
				for _, stream := range []bool{false, true} {
					said := ask(client, stream, chunked)
					fmt.Printf("ok KEM %#04x AEAD %d chunked %v stream %v: %s\n", uint16(config.KemID), suite.AEADID, chunked, stream, said)
				}
			}
		}
	}
	if !seen[0x647a] || !seen[0x20] {
		log.Fatalf("offered: %v", seen)
	}
}
