package s3_test

import (
	"reflect"
	"testing"

	"github.com/kvsframes/kvsframes/internal/s3test"
	"github.com/kvsframes/kvsframes/sink"
)

// TestTheServerKeepsTags has the server state the tags of objects that were put in one piece and in parts.
func TestTheServerKeepsTags(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	for name, want := range map[string]map[string]string{
		"none":        {},
		"signs":       {"a b+c": "x=y + -._:/@", "empty": "", "schlüssel": "値 1"},
		"as the docs": {"project": "x", "classification": "phi"},
	} {
		t.Run(name, func(t *testing.T) {
			d := destination(t, server)
			for key, value := range want {
				d.Tags = append(d.Tags, key+"="+value)
			}
			if err := d.Validate(); err != nil {
				t.Fatal(err)
			}
			store := open(t, d)
			if err := store.Put(t.Context(), "small.jpg", []byte("x"), sink.PutOptions{}); err != nil {
				t.Fatal(err)
			}
			for key, size := range map[string]int{"small.tar": 10, "large.tar": twoParts} {
				if err := upload(t.Context(), store, key, body(size), sink.PutOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			for _, key := range []string{"small.jpg", "small.tar", "large.tar"} {
				if got, err := server.Tags(t.Context(), d.Bucket, key); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("%s has the tags %q (%v), want %q", key, got, err, want)
				}
			}
		})
	}
}
