package chromiumtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"slices"
	"testing"
	"time"
)

// Page is a page in a tab of its own. Its methods fail the test if they do not work.
type Page struct {
	tb      testing.TB
	browser *Browser
	session string
	// requests and complaints are guarded by the browser's lock.
	requests, complaints []string
}

// Open opens a URL in a new tab, and waits until it is loaded.
func (b *Browser) Open(tb testing.TB, url string, width, height int) *Page {
	tb.Helper()
	p := &Page{tb: tb, browser: b}
	var target struct {
		ID string `json:"targetId"`
	}
	p.into(&target, "Target.createTarget", map[string]any{"url": "about:blank"})
	var session struct {
		ID string `json:"sessionId"`
	}
	p.into(&session, "Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true})
	p.session = session.ID
	b.mu.Lock()
	b.pages[p.session] = p
	b.mu.Unlock()
	tb.Cleanup(func() { _, _ = b.call("", "Target.closeTarget", map[string]any{"targetId": target.ID}) })
	for _, domain := range []string{"Page", "Runtime", "Network", "Log"} {
		p.Do(domain+".enable", nil)
	}
	p.Do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false})
	p.Do("Page.navigate", map[string]any{"url": url})
	p.Wait(`location.href !== "about:blank" && document.readyState === "complete"`)
	return p
}

// note notes an event. The browser's lock is held.
func (p *Page) note(method string, params json.RawMessage) {
	var event struct {
		Request struct {
			URL string `json:"url"`
		} `json:"request"`
	}
	switch method {
	case "Network.requestWillBeSent":
		if json.Unmarshal(params, &event) == nil {
			p.requests = append(p.requests, event.Request.URL)
		}
	case "Runtime.exceptionThrown", "Page.javascriptDialogOpening", "Log.entryAdded":
		p.complaints = append(p.complaints, method+" "+string(params))
	}
}

// Requests returns the URLs of everything that the page has asked for, itself included.
func (p *Page) Requests() []string {
	p.browser.mu.Lock()
	defer p.browser.mu.Unlock()
	return slices.Clone(p.requests)
}

// Complaints returns the exceptions, dialogs and messages of the browser about the page.
func (p *Page) Complaints() []string {
	p.browser.mu.Lock()
	defer p.browser.mu.Unlock()
	return slices.Clone(p.complaints)
}

// Do sends a command of the DevTools protocol.
func (p *Page) Do(method string, params any) json.RawMessage {
	p.tb.Helper()
	result, err := p.browser.call(p.session, method, params)
	if err != nil {
		p.tb.Fatal(err)
	}
	return result
}

func (p *Page) into(result any, method string, params any) {
	p.tb.Helper()
	if err := json.Unmarshal(p.Do(method, params), result); err != nil {
		p.tb.Fatalf("%s: %v", method, err)
	}
}

// Eval evaluates an expression in the page, and puts its value into result, as encoding/json does.
func (p *Page) Eval(expression string, result any) {
	p.tb.Helper()
	var answer struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		Exception json.RawMessage `json:"exceptionDetails"`
	}
	p.into(&answer, "Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true})
	if answer.Exception != nil {
		p.tb.Fatalf("%s: %s", expression, answer.Exception)
	}
	if err := json.Unmarshal(answer.Result.Value, result); err != nil {
		p.tb.Fatalf("%s: %v: %s", expression, err, answer.Result.Value)
	}
}

// Wait waits until an expression is true.
func (p *Page) Wait(expression string) {
	p.tb.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		var is bool
		if p.Eval("Boolean("+expression+")", &is); is {
			return
		}
		if time.Now().After(end) {
			p.tb.Fatalf("it is not so after %s: %s", limit, expression)
		}
	}
}

// Text returns the text of the first element of a CSS selector.
func (p *Page) Text(selector string) string {
	p.tb.Helper()
	var text string
	p.Eval(fmt.Sprintf("document.querySelector(%q)?.textContent ?? 'there is no element'", selector), &text)
	return text
}

// Click clicks at a point, in pixels of the page.
func (p *Page) Click(x, y float64) {
	p.tb.Helper()
	p.Mouse("mouseMoved", x, y)
	p.Mouse("mousePressed", x, y)
	p.Mouse("mouseReleased", x, y)
}

// Mouse sends one event of the mouse, with the left button.
func (p *Page) Mouse(kind string, x, y float64) {
	p.tb.Helper()
	event := map[string]any{"type": kind, "x": x, "y": y}
	if kind != "mouseMoved" {
		event["button"], event["clickCount"] = "left", 1
	}
	p.Do("Input.dispatchMouseEvent", event)
}

// Wheel turns the wheel at a point: up, which zooms in, if dy is negative.
func (p *Page) Wheel(x, y, dy float64) {
	p.tb.Helper()
	p.Do("Input.dispatchMouseEvent", map[string]any{"type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": dy})
}

// Press presses a key, named as KeyboardEvent.key has it.
func (p *Page) Press(key string) {
	p.tb.Helper()
	event := map[string]any{"type": "keyDown", "key": key}
	if len(key) == 1 {
		event["text"] = key
	}
	p.Do("Input.dispatchKeyEvent", event)
	p.Do("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key})
}

// Fill gives a control of a form a value, as if it was typed.
func (p *Page) Fill(selector, value string) {
	p.tb.Helper()
	var ok bool
	p.Eval(fmt.Sprintf(`(() => {
		const e = document.querySelector(%q), v = %q;
		if (e.type === "checkbox") e.checked = v !== "";
		else e.value = v;
		return e.dispatchEvent(new Event("input", { bubbles: true }));
	})()`, selector, value), &ok)
}

// Screenshot returns what is to be seen.
func (p *Page) Screenshot() image.Image {
	p.tb.Helper()
	var shot struct {
		Data []byte `json:"data"`
	}
	p.into(&shot, "Page.captureScreenshot", map[string]any{"format": "png"})
	picture, err := png.Decode(bytes.NewReader(shot.Data))
	if err != nil {
		p.tb.Fatal(err)
	}
	return picture
}
