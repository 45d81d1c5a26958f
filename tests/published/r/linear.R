source("common.R")
suppressMessages({library(sandwich); library(lmtest); library(clubSandwich); library(quantreg); library(rms)})
set.seed(3)

# One cohort: 12 centres of 1 to 40 patients, a second clustering, frequencies, a factor of three levels
sizes <- c(1, 2, 3, 5, 8, 9, 12, 14, 18, 22, 27, 39); n <- sum(sizes)
site <- rep(seq_along(sizes), sizes)
d <- data.frame(site = site, reader = sample(1:7, n, TRUE), age = round(rnorm(n, 68, 12), 1))
d$volume <- round(exp(rnorm(n, 1.5 + 0.02 * (d$age - 68), 0.8)), 2)
d$vendor <- factor(sample(c("GE", "Philips", "Siemens"), n, TRUE, c(.5, .2, .3)))
d$times <- sample(1:3, n, TRUE)
d$y <- round(5 + 0.05 * d$age + 0.6 * log(d$volume + 1) + rnorm(12)[site] + rnorm(n, 0, 1 + d$volume / 20), 3)
d$event <- as.integer(plogis(-1 + 0.3 * log(d$volume) + rnorm(12, 0, .4)[site]) > runif(n))
d$teaching <- as.integer(site %% 2 == 0)

estimates <- function(m, v, df = NULL) {
  b <- coef(m); s <- sqrt(diag(v)); t <- b / s
  p <- if (is.null(df)) 2 * pnorm(-abs(t)) else 2 * pt(-abs(t), df)
  q <- if (is.null(df)) qnorm(.975) else qt(.975, df)
  list(estimate = unname(b), se = unname(s), p = unname(p), low = unname(b - q * s), high = unname(b + q * s))
}
f <- y ~ age + volume + vendor + teaching
m <- lm(f, d); G <- 12
linear <- list(
  terms = names(coef(m)), r2 = summary(m)$r.squared, r2_adjusted = summary(m)$adj.r.squared,
  sigma = summary(m)$sigma, loglik = as.numeric(logLik(m)), aic = AIC(m),
  standardised = unname(coef(lm(scale(y) ~ ., as.data.frame(scale(cbind(y = d$y, model.matrix(m)[, -1]))))))[-1],
  classical = estimates(m, vcov(m), m$df.residual),
  HC0 = estimates(m, vcovHC(m, "HC0"), m$df.residual), HC1 = estimates(m, vcovHC(m, "HC1"), m$df.residual),
  HC2 = estimates(m, vcovHC(m, "HC2"), m$df.residual), HC3 = estimates(m, vcovHC(m, "HC3"), m$df.residual),
  cluster = estimates(m, vcovCL(m, ~site, type = "HC1"), G - 1),
  CR1 = estimates(m, vcovCL(m, ~site, type = "HC0"), G - 1),
  CR0 = estimates(m, vcovCL(m, ~site, type = "HC0", cadjust = FALSE), G - 1),
  two_way = unname(sqrt(diag(vcovCL(m, ~site + reader, type = "HC1")))),
  two_way_CR0 = unname(sqrt(diag(vcovCL(m, ~site + reader, type = "HC0", cadjust = FALSE)))))
r <- coef_test(m, vcovCR(m, d$site, "CR2"), test = "Satterthwaite")
linear$CR2 <- list(se = r$SE, df = r$df, p = r$p_Satt)

many <- d[rep(seq_len(n), d$times), ]; w <- lm(f, many)
weighted <- list(estimate = unname(coef(w)), se = unname(sqrt(diag(vcov(w)))),
                 HC3 = unname(sqrt(diag(vcovHC(w, "HC3")))),
                 cluster = unname(sqrt(diag(vcovCL(w, ~site, type = "HC1")))), r2 = summary(w)$r.squared,
                 CR2 = unname(sqrt(diag(vcovCR(w, many$site, "CR2")))))

i <- lm(y ~ age * vendor + rcs(volume, c(1, 3, 6, 12)), d)
curve <- ols(y ~ rcs(volume, 4) + age, d); a <- anova(curve)
interaction <- list(estimate = unname(coef(i)), se = unname(sqrt(diag(vcov(i)))))
nonlinearity <- list(f = a[" Nonlinear", "F"], df = a[" Nonlinear", "d.f."], p = a[" Nonlinear", "P"],
                     joint_f = a["volume", "F"], joint_p = a["volume", "P"],
                     estimate = unname(coef(curve)), se = unname(sqrt(diag(vcov(curve)))))

g <- glm(event ~ age + volume + vendor + teaching, binomial, d, control = glm.control(1e-14, 100))
rg <- coef_test(g, vcovCR(g, d$site, "CR2"), test = "Satterthwaite")
logistic <- list(loglik = as.numeric(logLik(g)), aic = AIC(g), classical = estimates(g, vcov(g)),
  HC0 = estimates(g, vcovHC(g, "HC0")), HC1 = estimates(g, vcovHC(g, "HC1")), HC2 = estimates(g, vcovHC(g, "HC2")),
  HC3 = estimates(g, vcovHC(g, "HC3")),
  cluster = estimates(g, vcovCL(g, ~site, type = "HC1")), CR1 = estimates(g, vcovCL(g, ~site)),
  CR0 = estimates(g, vcovCL(g, ~site, cadjust = FALSE)), two_way = unname(sqrt(diag(vcovCL(g, ~site + reader, type = "HC1")))),
  CR2 = list(se = rg$SE, df = rg$df, p = rg$p_Satt),
  c_index = rcorr.cens(fitted(g), g$y)[["C Index"]])
gw <- glm(event ~ age + volume, binomial, many, control = glm.control(1e-14, 100))
logistic$weighted <- list(estimate = unname(coef(gw)), se = unname(sqrt(diag(vcov(gw)))))
pen <- lrm(event ~ age + volume, d, penalty = 5, tol = 1e-14, eps = 1e-12, maxit = 100)
logistic$penalised <- unname(coef(pen))
profile_end <- function(name, side) {
  j <- match(name, names(coef(g))); top <- logLik(g); X <- model.matrix(g); s <- sqrt(vcov(g)[j, j])
  drop <- function(v) 2 * (top - logLik(glm(g$y ~ 0 + X[, -j] + offset(v * X[, j]), family = binomial,
                                           control = glm.control(1e-14, 100)))) - qchisq(.95, 1)
  uniroot(drop, sort(coef(g)[j] + side * s * c(.5, 4)), tol = 1e-12)$root
}
logistic$profile <- list(age = c(profile_end("age", -1), profile_end("age", 1)),
                         teaching = c(profile_end("teaching", -1), profile_end("teaching", 1)))

quantile_case <- function(tau) {
  q <- rq(y ~ age + volume, tau, d); s <- summary(q, se = "nid")$coefficients
  list(estimate = unname(s[, 1]), se = unname(s[, 2]), p = unname(s[, 4]))
}
quantiles <- list("0.5" = quantile_case(.5), "0.25" = quantile_case(.25), "0.9" = quantile_case(.9))

spline_case <- function(x, k) { b <- rcspline.eval(x, nk = k, inclx = TRUE)
  list(x = x, n_knots = k, knots = attr(b, "knots"), basis = matrix(b, nrow(b))) }
x120 <- round(exp(rnorm(120, 2)), 3)
splines <- list(three = spline_case(x120[1:40], 3), four = spline_case(x120, 4), five = spline_case(x120, 5),
                six = spline_case(x120[1:99], 6), seven = spline_case(x120, 7),
                ties = spline_case(rep(c(1, 2, 3, 5, 8, 9, 12, 15), c(9, 8, 12, 10, 6, 7, 5, 4)), 4),
                zeros = spline_case(c(rep(0, 12), x120[1:100]), 4), few_zeros = spline_case(c(rep(0, 9), x120[1:60]), 3),
                ceiling = spline_case(c(x120[1:100], rep(99, 10)), 5),
                both_ends = spline_case(c(rep(0, 8), x120[1:80], rep(99, 9)), 4),
                interior = spline_case(rep(0:6, c(10, 12, 9, 14, 8, 9, 20)), 5))

strata <- expand.grid(event = 0:1, ind = 0:1, site = 1:4)
strata$n <- c(10, 4, 8, 9, 3, 0, 5, 2, 12, 6, 9, 11, 0, 0, 2, 1)
rows <- strata[rep(1:16, strata$n), 1:3]
cmh <- function(correct) mantelhaen.test(xtabs(~ind + event + site, subset(rows, site < 4)), correct = correct)
mantel_haenszel <- list(rows = columns(rows), odds_ratio = cmh(FALSE)$estimate[[1]], ci = as.numeric(cmh(FALSE)$conf.int),
                        chi2 = cmh(FALSE)$statistic[[1]], p = cmh(FALSE)$p.value, chi2_continuity = cmh(TRUE)$statistic[[1]])

# Wild cluster bootstrap-t of `teaching`, null imposed, over all 4,096 signs of the 12 centres
full <- model.matrix(m); rest <- full[, -6]; q <- full %*% solve(crossprod(full))
clustered_t <- function(y) { b <- drop(crossprod(q, y)); e <- y - full %*% b
  s <- rowsum(full * drop(e), site); h <- crossprod(q)  # (X'X)^-1
  b[6] / sqrt((h %*% crossprod(s) %*% h)[6, 6]) }
null <- lm.fit(rest, d$y); observed <- abs(clustered_t(d$y))
signs <- as.matrix(expand.grid(rep(list(c(-1, 1)), 12)))
ts <- apply(signs, 1, function(v) abs(clustered_t(null$fitted.values + v[site] * null$residuals)))
wild <- list(p = mean(ts >= observed * (1 - 1e-10)))

write_cases(list(data = columns(d), linear = linear, weighted = weighted, interaction = interaction,
                 nonlinearity = nonlinearity, logistic = logistic, quantiles = quantiles, splines = splines,
                 mantel_haenszel = mantel_haenszel, wild = wild), "linear")
