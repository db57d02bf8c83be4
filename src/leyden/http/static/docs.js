"use strict";

const page = document.getElementById("swagger-ui");
const ui = SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: page.dataset.openapi,
  oauth2RedirectUrl: new URL(page.dataset.redirect, window.location.href).href,
  deepLinking: true,
  showExtensions: true,
  showCommonExtensions: true,
  validatorUrl: null,
  layout: "BaseLayout",
  presets: [SwaggerUIBundle.presets.apis],
  ...JSON.parse(page.dataset.parameters),
});
const oauth = JSON.parse(page.dataset.oauth);
if (oauth) {
  ui.initOAuth(oauth);
}
