package redis_test

import (
	"log"
	"net/http"
	"os"

	goredis "github.com/redis/go-redis/v9"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/stores/redis"
)

func Example() {
	client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:6379"})
	store, err := redis.NewDeliveries(client, redis.Options{Prefix: "shop:webhooks:"})
	if err != nil {
		log.Fatal(err)
	}
	hooks, err := clerkauth.NewWebhook(clerkauth.WebhookConfig{
		Secrets:    []clerkauth.Secret{clerkauth.NewSecret(os.Getenv("CLERK_WEBHOOK_SIGNING_SECRET"))},
		Deliveries: store,
	})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("POST /webhooks/clerk", hooks)
}
