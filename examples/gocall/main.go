// Command gocall calls functions of a Python module that uses numpy.
//
//	python3 -m venv .venv && .venv/bin/pip install -r requirements.txt
//	go run . 3 1 4 1 5 9
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"log"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/gowsgi/gowsgi"
	"github.com/gowsgi/gowsgi/pyembed"
)

func main() {
	dir := flag.String("dir", ".", "the folder of series.py, and of .venv")
	flag.Parse()
	if err := run(*dir, flag.Args()); err != nil {
		log.Fatal(err)
	}
}

func run(dir string, words []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	series, err := gowsgi.Import(ctx, gowsgi.Config{Dir: dir}, "series")
	if err != nil {
		return err
	}
	var values []float64
	for _, word := range words {
		v, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return err
		}
		values = append(values, v)
	}

	// A slice becomes a list, a dict comes back as a map.
	found, err := series.Call(ctx, "describe", values, pyembed.Kwargs{"quantiles": []float64{0.5, 0.9}})
	var raised *pyembed.Error
	if errors.As(err, &raised) {
		fmt.Fprint(os.Stderr, raised.Traceback)
	}
	if err != nil {
		return err
	}
	about := found.(map[string]any)
	fmt.Printf("n %d, mean %.3f, quantiles %.3v\n", about["n"], about["mean"], about["quantiles"])

	// Much data goes faster as bytes, which numpy takes as they are.
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, values); err != nil {
		return err
	}
	sums, err := series.Call(ctx, "running_sums", b.Bytes())
	if err != nil {
		return err
	}
	for p := sums.([]byte); len(p) > 0; p = p[8:] {
		fmt.Print(math.Float64frombits(binary.LittleEndian.Uint64(p)), " ")
	}
	fmt.Println()
	return nil
}
