package event

import (
	"encoding/json"

	"github.com/clerk/clerk-sdk-go/v2"
)

// PaymentAttempt is an attempt to collect a payment.
type PaymentAttempt struct {
	Object            string                      `json:"object"`
	ID                string                      `json:"id"`
	InstanceID        string                      `json:"instance_id"`
	PaymentID         string                      `json:"payment_id"`
	StatementID       string                      `json:"statement_id"`
	GatewayExternalID *string                     `json:"gateway_external_id"`
	Status            string                      `json:"status"`      // pending, paid, failed
	ChargeType        string                      `json:"charge_type"` // checkout, recurring
	BillingDate       int64                       `json:"billing_date"`
	PaidAt            *int64                      `json:"paid_at"`
	FailedAt          *int64                      `json:"failed_at"`
	FailedReason      *FailedReason               `json:"failed_reason"`
	Payee             *Payee                      `json:"payee"`
	Payer             *clerk.Payer                `json:"payer"`
	PaymentMethodID   *string                     `json:"payment_method_id"`
	PaymentMethod     *clerk.BillingPaymentMethod `json:"payment_method"`
	Totals            *Totals                     `json:"totals"`
	SubscriptionItems []SubscriptionItem          `json:"subscription_items"`
	CreatedAt         int64                       `json:"created_at"`
	UpdatedAt         int64                       `json:"updated_at"`
}

// FailedReason is why a payment failed, in the codes of the payment gateway.
type FailedReason struct {
	Code        string `json:"code"`
	DeclineCode string `json:"decline_code"`
}

// Payee is the application's account at the payment gateway.
type Payee struct {
	ID                string `json:"id"`
	GatewayType       string `json:"gateway_type"`
	GatewayExternalID string `json:"gateway_external_id"`
	GatewayStatus     string `json:"gateway_status"` // active, pending, restricted, disconnected
}

// Totals are the amounts of a payment.
type Totals struct {
	Subtotal      Money       `json:"subtotal"`
	TaxTotal      Money       `json:"tax_total"`
	GrandTotal    Money       `json:"grand_total"`
	PerUnitTotals []UnitTotal `json:"per_unit_totals"`
}

// UnitTotal is the part of a payment for units of one kind, such as seats. Amounts are in
// the smallest unit of the currency.
type UnitTotal struct {
	Name     string `json:"name"`
	Amount   int64  `json:"amount"`   // of one unit
	Quantity *int64 `json:"quantity"` // nil if it is unlimited
	Total    int64  `json:"total"`
	Currency string `json:"currency"`
}

// Subscription is what a user or an organization pays for.
type Subscription struct {
	Object          string             `json:"object"`
	ID              string             `json:"id"`
	InstanceID      string             `json:"instance_id"`
	Status          string             `json:"status"` // active, past_due, canceled, ended, abandoned, incomplete, upcoming, expired
	PayerID         string             `json:"payer_id"`
	Payer           *clerk.Payer       `json:"payer"`
	PaymentMethodID *string            `json:"payment_method_id"`
	LatestPaymentID *string            `json:"latest_payment_id"`
	Items           []SubscriptionItem `json:"items"`
	ActiveAt        *int64             `json:"active_at"`
	PastDueAt       *int64             `json:"past_due_at"`
	CanceledAt      *int64             `json:"canceled_at"`
	EndedAt         *int64             `json:"ended_at"`
	CreatedAt       int64              `json:"created_at"`
	UpdatedAt       int64              `json:"updated_at"`
}

// SubscriptionItem is a plan of a subscription. Its price is in the plan's fees.
type SubscriptionItem struct {
	clerk.SubscriptionItem
	Plan           *Plan        `json:"plan"`
	Interval       string       `json:"interval"`        // month or annual, as PlanPeriod
	SubscriptionID *string      `json:"subscription_id"` // nil within a Subscription
	Credit         *Credit      `json:"credit"`          // for the rest of a replaced plan's period
	Credits        *Credits     `json:"credits"`
	Seats          *Seats       `json:"seats"`
	LifetimePaid   *Money       `json:"lifetime_paid"`
	Amount         *Money       `json:"amount"`
	NextPayment    *NextPayment `json:"next_payment"`
}

// Plan is a plan with the prices of units, such as seats.
type Plan struct {
	clerk.Plan
	UnitPrices []UnitPrice `json:"unit_prices"`
}

// UnitPrice is the price of units of one kind, which are sold in blocks.
type UnitPrice struct {
	Name      string     `json:"name"`
	BlockSize int64      `json:"block_size"`
	Tiers     []UnitTier `json:"tiers"`
}

// UnitTier is the price of a block within a range of blocks.
type UnitTier struct {
	StartsAtBlock  int64  `json:"starts_at_block"`
	EndsAfterBlock *int64 `json:"ends_after_block"` // nil if it does not end
	AmountPerBlock int64  `json:"amount_per_block"` // in the smallest unit of the currency
	Currency       string `json:"currency"`
}

// Seats are the seats of a subscription item.
type Seats struct {
	Quantity *int64 `json:"quantity"` // nil if it is unlimited
}

// NextPayment is the amount and date of the next payment, in milliseconds since 1970.
type NextPayment struct {
	Amount *Money `json:"amount"`
	Date   *int64 `json:"date"`
}

// Credit is the rest of a period that was paid for.
type Credit struct {
	Amount                Money   `json:"amount"`
	CycleDaysRemaining    float64 `json:"cycle_days_remaining"`
	CycleDaysTotal        float64 `json:"cycle_days_total"`
	CycleRemainingPercent float64 `json:"cycle_remaining_percent"`
}

// Credits are all credits that were applied to a payment.
type Credits struct {
	Proration *Credit      `json:"proration"` // for the rest of a replaced plan's period
	Payer     *PayerCredit `json:"payer"`     // from the payer's balance
	Total     Money        `json:"total"`
}

// PayerCredit is a credit from the payer's balance.
type PayerCredit struct {
	AppliedAmount    Money `json:"applied_amount"`
	RemainingBalance Money `json:"remaining_balance"`
}

// Money is an amount in the smallest unit of its currency.
type Money struct{ clerk.BillingMoney }

// The methods below accept the member names of older API versions if the newer ones are
// absent, because an instance's webhooks may use an older version than its API.

// UnmarshalJSON decodes an amount with or without its currency.
func (m *Money) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] != '{' {
		return json.Unmarshal(text, &m.Amount)
	}
	return json.Unmarshal(text, &m.BillingMoney)
}

// UnmarshalJSON accepts payment_source for payment_method.
func (p *PaymentAttempt) UnmarshalJSON(text []byte) error {
	type fields PaymentAttempt
	older := struct {
		*fields
		PaymentSourceID *string `json:"payment_source_id"`
		PaymentSource   *struct {
			clerk.BillingPaymentMethod
			PaymentMethod string `json:"payment_method"`
		} `json:"payment_source"`
	}{fields: (*fields)(p)}
	err := json.Unmarshal(text, &older)
	if p.PaymentMethodID == nil {
		p.PaymentMethodID = older.PaymentSourceID
	}
	if source := older.PaymentSource; source != nil && p.PaymentMethod == nil {
		p.PaymentMethod = &source.BillingPaymentMethod
		if p.PaymentMethod.PaymentType == "" {
			p.PaymentMethod.PaymentType = source.PaymentMethod
		}
	}
	return err
}

// UnmarshalJSON accepts payment_source_id for payment_method_id.
func (s *Subscription) UnmarshalJSON(text []byte) error {
	type fields Subscription
	older := struct {
		*fields
		PaymentSourceID *string `json:"payment_source_id"`
	}{fields: (*fields)(s)}
	err := json.Unmarshal(text, &older)
	if s.PaymentMethodID == nil {
		s.PaymentMethodID = older.PaymentSourceID
	}
	return err
}

// UnmarshalJSON accepts next_payment_amount and next_payment_date for next_payment, and
// payment_source_id for payment_method_id. The embedded item gets the same plan.
func (s *SubscriptionItem) UnmarshalJSON(text []byte) error {
	type fields SubscriptionItem
	older := struct {
		*fields
		NextPaymentAmount *Money `json:"next_payment_amount"`
		NextPaymentDate   *int64 `json:"next_payment_date"`
		PaymentSourceID   string `json:"payment_source_id"`
	}{fields: (*fields)(s)}
	err := json.Unmarshal(text, &older)
	if s.NextPayment == nil && (older.NextPaymentAmount != nil || older.NextPaymentDate != nil) {
		s.NextPayment = &NextPayment{older.NextPaymentAmount, older.NextPaymentDate}
	}
	if s.PaymentMethodID == "" {
		s.PaymentMethodID = older.PaymentSourceID
	}
	s.SubscriptionItem.Plan = nil
	if s.Plan != nil {
		s.SubscriptionItem.Plan = &s.Plan.Plan
	}
	return err
}

// UnmarshalJSON accepts amount and currency for fee.
func (p *Plan) UnmarshalJSON(text []byte) error {
	type fields Plan
	older := struct {
		*fields
		Amount   *int64 `json:"amount"`
		Currency string `json:"currency"`
	}{fields: (*fields)(p)}
	err := json.Unmarshal(text, &older)
	if p.Fee == nil && older.Amount != nil {
		p.Fee = &clerk.BillingMoney{Amount: *older.Amount, Currency: older.Currency}
	}
	return err
}
